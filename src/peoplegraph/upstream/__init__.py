"""The way to the upstreams: `build_upstream` lists what a call passes, outermost first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from peoplegraph.settings import Settings, UpstreamEngine, proxy_for
from peoplegraph.upstream.call import Send
from peoplegraph.upstream.http1 import Http1Engine
from peoplegraph.upstream.httpx_engine import HttpxEngine


@asynccontextmanager
async def build_upstream(settings: Settings) -> AsyncIterator[Send]:
    """Open the path that `settings` describe; closing it closes its connections."""
    async with _engine(settings) as engine:
        yield engine.send


def _engine(settings: Settings) -> Http1Engine | HttpxEngine:
    blocks = settings.configured
    bases = {system: block.url for system, block in blocks.items()}
    connections = {system: block.concurrency for system, block in blocks.items()}
    proxies = {system: proxy for system, base in bases.items() if (proxy := proxy_for(base))}
    if proxies or settings.upstream_engine is UpstreamEngine.HTTPX:
        return HttpxEngine(bases, connections, proxies=proxies)
    return Http1Engine(bases, connections)
