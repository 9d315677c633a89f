"""The way to the upstreams: `build_upstream` lists what a call passes, outermost first."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from peoplegraph.observe import metrics
from peoplegraph.settings import Settings, UpstreamEngine, proxy_for
from peoplegraph.systems import System
from peoplegraph.upstream.breaker import CircuitBreaker, State
from peoplegraph.upstream.cache import Cache
from peoplegraph.upstream.call import Answer, Call, Others, Send, Write
from peoplegraph.upstream.http1 import Http1Engine
from peoplegraph.upstream.httpx_engine import HttpxEngine
from peoplegraph.upstream.limit import Limits
from peoplegraph.upstream.retry import Retry
from peoplegraph.upstream.share import Share

Engine = Http1Engine | HttpxEngine


class Layer(Protocol):
    """What a call passes."""

    def send(self, call: Call) -> Awaitable[Answer]:
        """Answer it, or send it on."""


@dataclass(frozen=True, slots=True, repr=False)
class Upstream:
    """The path, open: `send` puts a call on it."""

    send: Send
    cache: Cache
    share: Share
    breaker: CircuitBreaker
    engine: Engine
    layers: tuple[object, ...]
    """What a call passes, outermost first; each one's `repr` says what is under way in it."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.layers))

    def touched(self, write: Write) -> None:
        """Drop what another gateway has written."""
        self.cache.touched(write)
        self.share.touched(write)

    def forget(self) -> None:
        """Drop everything that is kept, and let nobody join what is under way."""
        self.cache.forget()
        self.share.forget()

    def states(self, systems: Iterable[System]) -> Mapping[str, str]:
        """Return what the circuit breaker of each system does: `closed`, `probing` or `open`."""
        return {system.name: self.breaker.state(system).name.lower() for system in systems}

    def sample(self, systems: Iterable[System]) -> None:
        """Set the gauges."""
        for system in systems:
            load = self.engine.load(system)
            metrics.SLOTS.labels(system.name).set(load.slots)
            metrics.SLOTS_IN_USE.labels(system.name).set(load.in_use)
            metrics.CALLS_WAITING.labels(system.name).set(load.waiting)
            metrics.BREAKER_STATE.labels(system.name).set(_STATES[self.breaker.state(system)])
        metrics.CACHE_BYTES.set(self.cache.store.bytes)
        metrics.CACHE_ENTRIES.set(len(self.cache.store))


_STATES = {State.CLOSED: 0, State.PROBING: 1, State.OPEN: 2}


@asynccontextmanager
async def build_upstream(
    settings: Settings, others: Others | None = None, records: Callable[[Send], Layer] | None = None
) -> AsyncIterator[Upstream]:
    """Open the path that `settings` describe; closing it closes its connections.

    A call passes: cache, share, the `records` of a group of gateways, retry, breaker, engine; the engine holds it
    back to the system's limits. The breaker is within the retries, since it counts each attempt. With several
    workers that are no group nothing is shared, as nothing is kept: one does not see what is written through
    another.
    """
    async with build_engine(settings) as engine:
        breaker = CircuitBreaker(engine.send, fair_s=settings.deadline_s / 2)
        retry = Retry(breaker.send)
        below = retry if records is None else records(retry.send)
        share = Share(below.send, others)
        ttl_s = {system: settings.cache_ttl_s(system) for system in settings.configured}
        shares = settings.share_calls and settings.sees_all_writes
        cache = Cache(share.send if shares else below.send, ttl_s, settings.stale_if_error_s, others)
        layers = (cache, share, *(() if records is None else (below,)), retry, breaker, engine)
        yield Upstream(cache.send, cache, share, breaker, engine, layers)


def limits_of(settings: Settings) -> dict[System, Limits]:
    """Return how much each system may be called, by this gateway or by all of its group."""
    blocks = settings.configured
    return {system: Limits(block.concurrency, block.calls_per_second) for system, block in blocks.items()}


def build_engine(settings: Settings) -> Engine:
    """Return the engine alone, that the settings name or a proxy demands."""
    bases = {system: block.url for system, block in settings.configured.items()}
    limits = limits_of(settings)
    proxies = {system: proxy for system, base in bases.items() if (proxy := proxy_for(base))}
    if proxies or settings.upstream_engine is UpstreamEngine.HTTPX:
        return HttpxEngine(bases, limits, proxies=proxies)
    return Http1Engine(bases, limits)
