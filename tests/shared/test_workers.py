"""`peoplegraph serve --workers 2` over a store: the workers are a group."""

import asyncio

import httpx

from peoplegraph.sandbox import Blocks, Sandbox
from tests.observe.processes import ask, serving
from tests.observe.test_exported import total
from tests.shared.store import Store

READ = '{ representative(reference: "REP-006") { name } }'
WRITE = 'mutation { updateRepresentative(reference: "REP-006", input: { name: "%s" }) { errors { message } } }'


async def test_workers_keep_answers_together(sandbox: Sandbox, blocks: Blocks, store: Store) -> None:
    """What one worker was told the other finds in the store, and a write through either is seen by both."""
    settings = {name: {**block, "cache_ttl_s": 60} for name, block in blocks.items()} | {"shared": store.settings}
    environment = {
        f"PEOPLEGRAPH_{name}_{setting}".upper(): str(value)
        for name, block in settings.items()
        for setting, value in block.items()
    }
    limits = httpx.Limits(max_keepalive_connections=0)  # each request is anybody's
    async with (
        serving("--workers", "2", PEOPLEGRAPH_LOG_FORMAT="json", **environment) as served,
        httpx.AsyncClient(base_url=served.url, limits=limits, timeout=30) as client,
        asyncio.timeout(60),
    ):
        while total(await metrics(client), "peoplegraph_group_up") < 2:  # noqa: ASYNC110  # metrics have no event
            await asyncio.sleep(0.05)
        for number in range(1, 4):
            name = f"Name {number}"
            assert "errors" not in (await ask(client, WRITE % name)).json()
            sandbox.ledger.calls.clear()
            while True:  # until both have been asked
                assert (await ask(client, READ)).json() == {"data": {"representative": {"name": name}}}
                if total(await metrics(client), "peoplegraph_group_reads_total") == 2 * number:
                    break
            assert [str(call) for call in sandbox.ledger.calls] == ["GET /representatives/REP-006"]


async def metrics(client: httpx.AsyncClient) -> str:
    """Return what both workers have counted."""
    return (await client.get("/metrics")).text
