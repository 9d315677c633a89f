"""Reads see the writes of every gateway: two processes, one store, and hypothesis chooses what is asked of whom."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.sandbox.faults import parse
from tests.observe.processes import Served, is_ready, serving
from tests.shared.store import Store, running_store

REFERENCES = ["REP-001", "REP-002", "REP-003"]
READ = "query ($of: String!) { representative(reference: $of) { name } }"
WRITE = """mutation ($of: String!, $name: String!) {
  updateRepresentative(reference: $of, input: { name: $name }) { representative { name } errors { message } }
}"""

gateways = st.integers(0, 1)
references = st.sampled_from(REFERENCES)
reads = st.tuples(st.just("read"), gateways, references)
writes = st.tuples(st.just("write"), gateways, references)
together = st.tuples(st.just("together"), st.lists(reads, min_size=1, max_size=4), writes)
"""Reads that are under way when something is written."""

faults = st.sampled_from([("kill",), ("start",), ("pause",), ("resume",)])


class Pair:
    """Two gateways, and what each record must be by what was answered."""

    def __init__(self, clients: list[httpx.AsyncClient], store: Store) -> None:
        self._clients = clients
        self._store = store
        self._names: dict[str, str] = {}
        self._numbers = count()
        self.state = "running"
        """What the store does."""

    async def read(self, gateway: int, of: str) -> str:
        """Ask for a name."""
        data = await self._ask(gateway, READ, of=of)
        return str(data["representative"]["name"])

    async def checked(self, gateway: int, of: str) -> None:
        """Ask for a name, which must be what was written last, if anything was."""
        name = await self.read(gateway, of)
        assert name == self._names.setdefault(of, name)

    async def write(self, gateway: int, of: str) -> None:
        """Write a name that was never there."""
        name = f"Name {next(self._numbers)}"
        data = await self._ask(gateway, WRITE, of=of, name=name)
        assert data["updateRepresentative"] == {"representative": {"name": name}, "errors": []}
        self._names[of] = name

    async def together(self, asked: list[tuple[str, int, str]], written: tuple[str, int, str]) -> None:
        """Write while reads are under way: each tells of before or after, and whoever asks then of after."""
        _, writer, of = written
        before = await self.read(writer, of)
        writing = asyncio.create_task(self.write(writer, of))
        names = await asyncio.gather(*(self.read(gateway, each) for _, gateway, each in asked))
        await writing
        for (_, _, each), name in zip(asked, names, strict=True):
            if each == of:
                assert name in {before, self._names[of]}
            else:
                assert name == self._names.setdefault(each, name)
        for gateway in (0, 1):
            await self.checked(gateway, of)

    async def turn(self, fault: str) -> None:
        """Have the store do something else, where it can."""
        match (fault, self.state):
            case ("kill", "running"):
                await self._store.kill()
                self.state = "gone"
            case ("start", "gone"):
                await self._store.start()
                self.state = "running"
            case ("pause", "running"):
                self._store.pause()
                self.state = "paused"
            case ("resume", "paused"):
                self._store.resume()
                self.state = "running"

    async def mended(self) -> None:
        """Have the store run, and both gateways be back."""
        await self.turn("start")
        await self.turn("resume")
        async with asyncio.timeout(30):
            for client in self._clients:
                while (await client.get("/readyz")).json()["shared"] != "up":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    async def _ask(self, gateway: int, query: str, **variables: str) -> dict[str, dict[str, object]]:
        response = await self._clients[gateway].post("/graphql", json={"query": query, "variables": variables})
        body = response.json()
        assert "errors" not in body, body
        data: dict[str, dict[str, object]] = body["data"]
        return data


@asynccontextmanager
async def pair(folder: Path, blocks: Blocks) -> AsyncIterator[tuple[Pair, list[Served]]]:
    """Run two gateways over one store, each in a process of its own."""
    environment = {"PEOPLEGRAPH_CONFIG": str(folder / "peoplegraph.toml")}
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(running_store(folder))
        tables = {name: {"cache_ttl_s": 60, **block} for name, block in blocks.items()} | {"shared": store.settings}
        (folder / "peoplegraph.toml").write_text(
            "\n".join(
                f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
                for name, table in tables.items()
            )
        )
        served = [await stack.enter_async_context(serving(**environment)) for _ in range(2)]
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=each.url, timeout=30)) for each in served
        ]
        assert all([await is_ready(client) for client in clients])
        made = Pair(clients, store)
        await made.mended()
        yield made, served


@pytest.fixture
async def running(sandbox: Sandbox, blocks: Blocks, tmp_path: Path) -> AsyncIterator[Pair]:
    """Run two gateways over the emulated systems, which take a moment for each answer."""
    await sandbox.switch([parse("collections:latency,ms=5,jitter_ms=20")])
    async with pair(tmp_path, blocks) as (made, _):
        yield made


async def test_reads_see_the_writes_of_every_gateway(running: Pair) -> None:
    """Whatever is read and written through whichever gateway, in a row or at once: who asks then has the newest."""
    await hold_for(running, st.one_of(reads, writes, together), most=12, examples=40)


async def test_reads_see_the_writes_of_every_gateway_while_the_store_comes_and_goes(running: Pair) -> None:
    """The same while the store is killed, begins anew with nothing in it, hangs, and goes on."""
    await hold_for(running, st.one_of(reads, writes, faults), least=4, most=10, examples=6)


async def hold_for(
    pair: Pair, step: st.SearchStrategy[tuple[Any, ...]], *, least: int = 2, most: int, examples: int
) -> None:
    """Carry out steps that hypothesis chooses, so often."""
    loop = asyncio.get_running_loop()

    @settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(step, min_size=least, max_size=most))
    def hold(steps: list[tuple[Any, ...]]) -> None:
        asyncio.run_coroutine_threadsafe(carried_out(pair, steps), loop).result()

    await asyncio.to_thread(hold)


async def carried_out(pair: Pair, steps: list[tuple[Any, ...]]) -> None:
    """Carry out steps in a row, from a store that runs."""
    await pair.mended()
    for step in steps:
        match step:
            case ("read", int(gateway), str(of)):
                await pair.checked(gateway, of)
            case ("write", int(gateway), str(of)):
                await pair.write(gateway, of)
            case ("together", list(asked), tuple(written)):
                await pair.together(asked, written)
            case (str(fault),):
                await pair.turn(fault)
