"""The way to the upstreams: `build_upstream` lists what a call passes, outermost first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from peoplegraph.settings import Settings
from peoplegraph.upstream.call import Send
from peoplegraph.upstream.httpx_engine import HttpxEngine


@asynccontextmanager
async def build_upstream(settings: Settings) -> AsyncIterator[Send]:
    """Open the path that `settings` describe; closing it closes its connections."""
    blocks = settings.configured
    async with HttpxEngine(
        bases={system: block.url for system, block in blocks.items()},
        connections={system: block.concurrency for system, block in blocks.items()},
    ) as engine:
        yield engine.send
