"""A gateway in a process of its own that has been asked everything that its metrics tell apart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.sandbox.faults import parse
from tests.observe.processes import Served, serving

QUERIES = (
    'query Joins { representative(reference: "REP-021") { name assignee { email } } }',
    "query Failing { rep(by: { repId: 1011 }) { name } }",
    "query Declined { __schema { queryType { name } } }",
    "query Refused { a: __typename b: __typename c: __typename }",
)


async def ask(client: httpx.AsyncClient) -> None:
    """Ask what is answered, kept, shared, made again, declined and refused; the systems take their time."""
    queries = [*QUERIES] * 2
    queries += ['query Shared { representative(reference: "REP-022") { name } }'] * 2
    queries += ['query Other { representative(reference: "REP-022") { email } }']
    await asyncio.gather(*(client.post("/graphql", json={"query": query}, timeout=30) for query in queries))


@asynccontextmanager
async def asked(sandbox: Sandbox, blocks: Blocks) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    """Serve over the emulated systems, one of which fails, until the block ends."""
    await sandbox.switch([parse("collections:latency,ms=100"), parse("rpm:error,status=503")])
    settings = {
        f"PEOPLEGRAPH_{name}_{setting}".upper(): str(value)
        for name, block in blocks.items()
        for setting, value in block.items()
    }
    settings |= {"PEOPLEGRAPH_LOG_FORMAT": "json", "PEOPLEGRAPH_MAX_ALIASES": "2"}
    async with serving(**settings) as served, httpx.AsyncClient(base_url=served.url) as client:
        await ask(client)
        yield served, client
