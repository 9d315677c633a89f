"""A gateway in a process of its own that has been asked everything that its metrics tell apart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.sandbox.faults import parse
from tests.observe.processes import Served, serving
from tests.shared.store import running_store

QUERIES = (
    'query Joins { representative(reference: "REP-021") { name assignee { email } } }',
    "query Failing { rep(by: { repId: 1011 }) { name } }",
    "query Declined { __schema { queryType { name } } }",
    "query Refused { a: __typename b: __typename c: __typename }",
    'mutation Write { updateRepresentative(reference: "REP-023", input: { name: "X" }) { errors { message } } }',
)


async def ask(client: httpx.AsyncClient) -> None:
    """Ask what is answered, kept, shared, made again, declined, refused, written; the systems take their time."""
    queries = [*QUERIES] * 2
    queries += ['query Shared { representative(reference: "REP-022") { name } }'] * 2
    queries += ['query Other { representative(reference: "REP-022") { email } }']
    await asyncio.gather(*(client.post("/graphql", json={"query": query}, timeout=30) for query in queries))


@asynccontextmanager
async def asked(sandbox: Sandbox, blocks: Blocks) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    """Serve over the emulated systems, one of which fails, and a store, until the block ends."""
    await sandbox.switch([parse("collections:latency,ms=100"), parse("rpm:error,status=503")])
    settings = {
        f"PEOPLEGRAPH_{name}_{setting}".upper(): str(value)
        for name, block in blocks.items()
        for setting, value in block.items()
    }
    settings |= {"PEOPLEGRAPH_LOG_FORMAT": "json", "PEOPLEGRAPH_MAX_ALIASES": "2"}
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        store = await stack.enter_async_context(running_store(Path(folder)))
        settings |= {f"PEOPLEGRAPH_SHARED_{name}".upper(): value for name, value in store.settings.items()}
        served = await stack.enter_async_context(serving(**settings))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=served.url))
        await ask(client)
        yield served, client
