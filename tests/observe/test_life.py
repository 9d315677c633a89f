"""How a gateway begins, changes and ends: processes of their own, and their signals."""

import asyncio
import gzip
import json
import os
import re
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.sandbox.faults import parse
from peoplegraph.sandbox.serving import serving as serving_apps
from peoplegraph.scopes import Scope
from tests.access.callers import entry
from tests.test_cli import command

QUERY = '{ representative(reference: "REP-021") { reference } }'
UPDATE = 'mutation { updateRepresentative(reference: "REP-021", input: { name: "X" }) { errors { message } } }'


@dataclass
class Served:
    """A gateway in a process of its own, or in several."""

    process: Process
    url: str
    events: list[dict[str, Any]]

    async def event(self, pattern: str) -> dict[str, Any]:
        """Wait for an event of the log that matches, and return it."""
        async with asyncio.timeout(30):
            while not (found := self.events_of(pattern)):  # noqa: ASYNC110  # a log has no event
                await asyncio.sleep(0.02)
        return found[0]

    def events_of(self, pattern: str) -> list[dict[str, Any]]:
        """Return the events that match."""
        return [event for event in self.events if re.search(pattern, event["event"])]

    async def ended(self) -> int:
        """Wait for its end; return the exit code."""
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def serving(*arguments: str, **environment: str) -> AsyncIterator[Served]:
    """Serve until the block ends, and read the log."""
    async with command("serve", "--port", "0", *arguments, **environment) as process:
        stderr = process.stderr
        assert stderr is not None
        events: list[dict[str, Any]] = []

        async def read() -> None:
            while line := await stderr.readline():
                events.append(json.loads(line))

        reading = asyncio.create_task(read())
        served = Served(process, "", events)
        running = await served.event("Uvicorn running on")
        served.url = re.search(r"http://[^ ]+", running["event"])[0]  # type: ignore[index]  # it has one
        async with httpx.AsyncClient(base_url=served.url) as client:
            async with asyncio.timeout(30):
                while not await is_ready(client):  # noqa: ASYNC110  # a worker has no event
                    await asyncio.sleep(0.05)
        try:
            yield served
        finally:
            if process.returncode is None:
                process.terminate()
                await asyncio.wait_for(process.wait(), 30)
            await reading


async def is_ready(client: httpx.AsyncClient) -> bool:
    """Ask whether it is ready."""
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
async def environment(sandbox: Sandbox, blocks: Blocks) -> dict[str, str]:
    """Return the settings of a gateway over the emulated systems."""
    assert not sandbox.ledger.calls
    settings = {
        f"PEOPLEGRAPH_{name}_{setting}".upper(): str(value)
        for name, block in blocks.items()
        for setting, value in block.items()
    }
    return {**settings, "PEOPLEGRAPH_COLLECTIONS_CACHE_TTL_S": "0", "PEOPLEGRAPH_LOG_FORMAT": "json"}


async def ask(client: httpx.AsyncClient, query: str = QUERY, **headers: str) -> httpx.Response:
    """Ask the endpoint."""
    return await client.post("/graphql", json={"query": query}, headers=headers, timeout=30)


async def test_it_begins_with_every_system_down(environment: dict[str, str]) -> None:
    """Nobody is called at the start: a gateway whose systems are all down is ready, and tells each field."""
    down = {
        name: re.sub(r":\d+", ":9", value) if name.endswith("_URL") else value
        for name, value in environment.items()
    }
    async with serving(**down) as served, httpx.AsyncClient(base_url=served.url) as client:
        reply = await ask(client)
        assert reply.json()["errors"][0]["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"
        assert reply.json()["data"] == {"representative": None}


async def test_what_is_under_way_is_finished(sandbox: Sandbox, environment: dict[str, str]) -> None:
    """SIGTERM: not ready at once, nobody new is let in, and a slow query and a slow write have their answers."""
    await sandbox.switch([parse("collections:latency,ms=1500")])
    async with serving(**environment, PEOPLEGRAPH_DRAIN_S="0.5") as served:
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=served.url, limits=limits) as client:
            slow = [asyncio.create_task(ask(client, query)) for query in (QUERY, UPDATE)]
            while len(sandbox.ledger.calls) < 2:  # noqa: ASYNC110  # a list has no event
                await asyncio.sleep(0.01)
            served.process.send_signal(signal.SIGTERM)
            await served.event("not ready any more")
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (503, "draining")
            assert (await ask(client, "{ __typename }")).status_code == 200
            await served.event("Shutting down")
            with pytest.raises(httpx.ConnectError):
                await ask(client, "{ __typename }")
            query, write = await asyncio.gather(*slow)
        assert query.json() == {"data": {"representative": {"reference": "REP-021"}}}
        assert write.json() == {"data": {"updateRepresentative": {"errors": []}}}
        assert await served.ended() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_signal_may_come_twice(sandbox: Sandbox, environment: dict[str, str], workers: str) -> None:
    """SIGTERM goes to each process, and the parent passes it on: what is under way is finished all the same."""
    await sandbox.switch([parse("collections:latency,ms=2000")])
    async with serving("--workers", workers, **environment) as served:
        async with httpx.AsyncClient(base_url=served.url) as client:
            slow = asyncio.create_task(ask(client))
            while not sandbox.ledger.calls:  # noqa: ASYNC110  # a list has no event
                await asyncio.sleep(0.01)
            pids = {served.process.pid, *map(pid_of, served.events_of("Started server process"))}
            for _ in range(2):
                for pid in pids:
                    os.kill(pid, signal.SIGTERM)
                await asyncio.sleep(0.3)
            assert (await slow).json() == {"data": {"representative": {"reference": "REP-021"}}}
        assert await served.ended() == 0


async def test_who_is_in_a_hurry_asks_twice(sandbox: Sandbox, environment: dict[str, str]) -> None:
    """A second Ctrl-C does not wait for what is under way."""
    await sandbox.switch([parse("collections:latency,ms=8000")])
    async with serving(**environment) as served, httpx.AsyncClient(base_url=served.url) as client:
        slow = asyncio.create_task(ask(client))
        while not sandbox.ledger.calls:  # noqa: ASYNC110  # a list has no event
            await asyncio.sleep(0.01)
        served.process.send_signal(signal.SIGINT)
        await served.event("Shutting down")
        served.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(served.process.wait(), 5) == 0
        await asyncio.gather(slow, return_exceptions=True)


async def test_what_is_under_way_on_a_websocket_is_finished(sandbox: Sandbox, environment: dict[str, str]) -> None:
    """A query and a mutation have their answers before the connection is closed; none is begun any more."""
    await sandbox.switch([parse("collections:latency,ms=1500")])
    async with serving(**environment) as served:
        url = served.url.replace("http", "ws") + "/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send('{"type": "connection_init"}')
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            for name, query in (("query", QUERY), ("write", UPDATE)):
                await socket.send(json.dumps({"type": "subscribe", "id": name, "payload": {"query": query}}))
            while len(sandbox.ledger.calls) < 2:  # noqa: ASYNC110  # a list has no event
                await asyncio.sleep(0.01)
            served.process.send_signal(signal.SIGTERM)
            await served.event("not ready any more")
            await socket.send(json.dumps({"type": "subscribe", "id": "late", "payload": {"query": QUERY}}))
            said = []
            with suppress(ConnectionClosed):  # 1012: the service restarts
                while True:
                    said.append(json.loads(await socket.recv()))
        answers = {each["id"]: each["payload"] for each in said if each["type"] in ("next", "error")}
        assert answers["query"] == {"data": {"representative": {"reference": "REP-021"}}}
        assert answers["write"] == {"data": {"updateRepresentative": {"errors": []}}}
        assert answers["late"][0]["extensions"]["code"] == "SHUTTING_DOWN"
        assert await served.ended() == 0


async def test_a_signal_before_it_has_begun(environment: dict[str, str]) -> None:
    """SIGHUP does not end a gateway that is about to begin."""
    async with command("serve", "--port", "0", **environment) as process:
        await said(process, b"Started server process")
        process.send_signal(signal.SIGHUP)
        await said(process, b"Uvicorn running on")
        process.terminate()
        assert await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0


async def said(process: Process, text: bytes) -> None:
    """Wait for a line of the log."""
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while text not in (line := await process.stderr.readline()):
            assert line, "it has ended"


def pid_of(event: dict[str, Any]) -> int:
    """Return the process that is told of."""
    return int(event["event"].split("[")[1].rstrip("]"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_takes_longer_than_there_is_is_answered_503(
    sandbox: Sandbox, environment: dict[str, str], number: signal.Signals
) -> None:
    """At the end of its time a request hears that the gateway ends, and the exit code is 0 all the same."""
    await sandbox.switch([parse("collections:latency,ms=8000")])
    async with serving(**environment, PEOPLEGRAPH_GRACE_S="0.3") as served:
        async with httpx.AsyncClient(base_url=served.url) as client:
            slow = asyncio.create_task(ask(client))
            while not sandbox.ledger.calls:  # noqa: ASYNC110  # a list has no event
                await asyncio.sleep(0.01)
            served.process.send_signal(number)
            reply = await slow
        assert reply.status_code == 503
        assert reply.json()["errors"][0]["extensions"]["code"] == "SHUTTING_DOWN"
        assert reply.headers["retry-after"] == "1"
        assert await served.ended() == 0
    assert "Traceback" not in json.dumps(served.events)


async def test_settings_are_read_anew(environment: dict[str, str], tmp_path: Path) -> None:
    """On SIGHUP, and when their file changes, keys and limits change; of what cannot, the log says so."""
    config = tmp_path / "config.toml"
    (first, known), (second, other) = (
        entry("first", Scope.REPRESENTATIVES_READ),
        entry("second", Scope.REPRESENTATIVES_READ),
    )

    def write(digest: str, *more: str) -> None:
        key = f'[[api_keys]]\nname = "x"\nsha256 = "{digest}"\nscopes = ["representatives:read"]\n'
        config.write_text("\n".join([*more, key]), encoding="utf-8")

    write(known["sha256"])
    async with (
        serving(**environment, PEOPLEGRAPH_CONFIG=str(config)) as served,
        httpx.AsyncClient(base_url=served.url) as client,
    ):
        assert (await ask(client, authorization=f"Bearer {first}")).status_code == 200
        write(other["sha256"], "max_depth = 1", "deadline_s = 5")
        served.process.send_signal(signal.SIGHUP)
        await served.event("the settings are read anew")
        assert (await ask(client, authorization=f"Bearer {first}")).status_code == 401
        reply = await ask(client, authorization=f"Bearer {second}")
        assert "fields deep" in reply.json()["errors"][0]["message"]
        assert await served.event("it takes a restart to change PEOPLEGRAPH_DEADLINE_S")
        served.events.clear()
        write(known["sha256"])
        await served.event("the settings are read anew")
        assert (await ask(client, authorization=f"Bearer {first}")).json()["data"] == {
            "representative": {"reference": "REP-021"}
        }
        config.write_text("max_depth = 0", encoding="utf-8")
        assert "MAX_DEPTH" in (await served.event("the settings stay as they were"))["event"]
        assert (await ask(client, authorization=f"Bearer {first}")).status_code == 200


async def test_a_key_that_is_revoked_ends_on_websockets_too(environment: dict[str, str], tmp_path: Path) -> None:
    """Who is connected asks by the settings of the time: a key that is gone is refused, another limit holds."""
    config = tmp_path / "config.toml"
    (key, known), (_, other) = (entry(name, Scope.REPRESENTATIVES_READ) for name in ("first", "second"))

    def write(digest: str) -> None:
        config.write_text(
            f'[[api_keys]]\nname = "x"\nsha256 = "{digest}"\nscopes = ["representatives:read"]\n', encoding="utf-8"
        )

    write(known["sha256"])
    async with serving(**environment, PEOPLEGRAPH_CONFIG=str(config)) as served:
        url = served.url.replace("http", "ws") + "/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send(
                json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {key}"}})
            )
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            subscribe = {"type": "subscribe", "id": "1", "payload": {"query": QUERY}}
            await socket.send(json.dumps(subscribe))
            assert json.loads(await socket.recv())["type"] == "next"
            assert json.loads(await socket.recv())["type"] == "complete"
            write(other["sha256"])
            served.process.send_signal(signal.SIGHUP)
            await served.event("the settings are read anew")
            await socket.send(json.dumps(subscribe))
            refused = json.loads(await socket.recv())
    assert refused["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_no_request_is_dropped_while_settings_change(environment: dict[str, str], tmp_path: Path) -> None:
    """Whatever is under way while settings are read anew is answered as if they were not."""
    config = tmp_path / "config.toml"
    config.write_text("max_depth = 20", encoding="utf-8")
    async with (
        serving(**environment, PEOPLEGRAPH_CONFIG=str(config)) as served,
        httpx.AsyncClient(base_url=served.url) as client,
    ):

        async def keep_asking() -> None:
            for _ in range(60):
                assert (await ask(client)).json() == {"data": {"representative": {"reference": "REP-021"}}}

        async def keep_changing() -> None:
            for depth in range(10, 20):
                config.write_text(f"max_depth = {depth}", encoding="utf-8")
                served.process.send_signal(signal.SIGHUP)
                await asyncio.sleep(0.05)

        await asyncio.gather(keep_changing(), *(keep_asking() for _ in range(4)))


def total(text: str, name: str) -> float:
    """Add up the samples of a metric."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))


async def test_several_workers_have_one_view(environment: dict[str, str]) -> None:
    """Whichever worker is asked tells what all have counted, on the port of the metrics, too; one may be killed."""
    port = free_port()
    async with serving("--workers", "2", **environment, PEOPLEGRAPH_METRICS_PORT=str(port)) as served:
        asked = 0
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=served.url, limits=limits) as client:
            async with asyncio.timeout(30):
                while total((await client.get("/metrics")).text, "peoplegraph_ready") < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            for _ in range(20):
                assert (await ask(client)).status_code == 200
                asked += 1
            views = [(await client.get("/metrics")).text for _ in range(6)]
            views.append((await client.get(f"http://127.0.0.1:{port}/metrics")).text)
        assert {total(view, "peoplegraph_operations_total") for view in views} == {asked}
        assert total(views[-1], "peoplegraph_upstream_slots") == 2 * (100 + 100 + 20)
        os.kill(pid_of(served.events_of("Started server process")[0]), signal.SIGKILL)
        await served.event("died")
        async with httpx.AsyncClient(base_url=served.url) as client, asyncio.timeout(30):
            while True:
                view = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
                if total(view, "peoplegraph_ready") == 2:
                    break
                assert total(view, "peoplegraph_ready") < 2
                await asyncio.sleep(0.05)
        assert total(view, "peoplegraph_operations_total") == asked
        served.process.send_signal(signal.SIGTERM)
        assert await served.ended() == 0


async def test_a_port_of_their_own(environment: dict[str, str]) -> None:
    """With one worker the metrics are on their own port, too, and it is told where that is taken."""
    port = free_port()
    own = {"PEOPLEGRAPH_METRICS_PORT": str(port), "PEOPLEGRAPH_METRICS_OPEN": "false"}
    async with serving(**environment, **own) as served, httpx.AsyncClient(base_url=served.url) as client:
        assert (await client.get("/metrics")).status_code == 403
        reply = await client.get(f"http://127.0.0.1:{port}/metrics")
        assert total(reply.text, "peoplegraph_ready") == 1
        async with command("serve", "--port", "0", **environment, **own) as process:
            _, err = await asyncio.wait_for(process.communicate(), 30)
            assert (process.returncode, f"cannot listen on 127.0.0.1:{port}" in err.decode()) == (2, True)


async def test_spans_arrive(environment: dict[str, str]) -> None:
    """They are sent to the collector that OpenTelemetry's variables name; the last of them at the end."""
    received: list[tuple[str, bytes]] = []

    async def collector(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        received.append((scope["path"], message["body"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with serving_apps((collector,), "127.0.0.1", 0) as (server,):
        told = {"PEOPLEGRAPH_TRACES": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": server.url}
        async with serving(**environment, **told) as served, httpx.AsyncClient(base_url=served.url) as client:
            assert (await ask(client, "query Traced " + QUERY)).status_code == 200
    assert {path for path, _ in received} == {"/v1/traces"}
    sent = b"".join(body for _, body in received)
    assert b"query Traced" in gzipped(sent)
    assert b"peoplegraph" in gzipped(sent)


def gzipped(body: bytes) -> bytes:
    """Return a body as it was before it was compressed, if it was."""
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def free_port() -> int:
    """Return a port that nobody listens on."""
    import socket  # noqa: PLC0415

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def test_each_request_is_in_the_log_of_one_that_ended(environment: dict[str, str]) -> None:
    """None is lost when a gateway ends, though the events of one turn of its loop are one write."""
    async with serving(**environment) as served, httpx.AsyncClient(base_url=served.url) as client:
        ids = {f"r{number}" for number in range(50)}
        await asyncio.gather(*(ask(client, "{ __typename }", **{"X-Request-Id": id_}) for id_ in ids))
        served.process.terminate()
        assert await served.ended() == 0
        async with asyncio.timeout(30):  # to read the rest
            while {event["request"] for event in served.events_of("^request$")} != ids:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
