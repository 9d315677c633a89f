"""The whole path, every layer on, over either engine."""

import asyncio
import random
import re

import pytest

from peoplegraph.errors import UpstreamError
from peoplegraph.settings import Settings
from peoplegraph.systems import System
from peoplegraph.upstream import Upstream, build_upstream
from peoplegraph.upstream.call import Call, Credential
from tests.scripted import http, scripted

SECONDS = 3


def call(number: int, *, reads: bool, within_s: float = 10) -> Call:
    """Return one of a few calls to Collections, so that equal ones meet."""
    return Call(
        system=System.COLLECTIONS,
        method="GET" if reads else "PATCH",
        target=f"/representatives/{number}",
        credential=Credential("X-API-Key", "secret"),
        deadline=asyncio.get_running_loop().time() + within_s,
        reads=reads,
        safe_to_retry=reads,
        tags=frozenset([str(number)]),
    )


def at_rest(upstream: Upstream) -> bool:
    """Whether no layer has anything under way, a connection busy or somebody waiting."""
    engine = "0 in flight" if "HttpxEngine" in repr(upstream) else r"0 of 5 busy, \d idle, 0 waiting"
    return bool(re.search("<Share 0 in flight>", repr(upstream)) and re.search(engine, repr(upstream)))


@pytest.mark.parametrize("engine", ["http1", "httpx"])
async def test_random_cancels_leave_every_layer_whole(engine: str) -> None:
    """After seconds of calls cancelled at any moment plain calls all succeed, and every layer is back at rest."""
    dice = random.Random(11)  # noqa: S311  # the same disorder every time

    async def answer(_: str) -> bytes:
        await asyncio.sleep(dice.random() * 0.02)
        return http(503) if dice.random() < 0.05 else http(200, "x" * dice.randrange(1000))

    async with scripted(answer) as server:
        block = {"url": server.url, "api_key": "k", "concurrency": 5, "calls_per_second": 400, "cache_ttl_s": 0.01}
        settings = Settings.load(_env_file=None, collections=block, upstream_engine=engine, stale_if_error_s=0.01)
        async with build_upstream(settings) as upstream:
            loop = asyncio.get_running_loop()
            cancelled = 0
            ends = loop.time() + SECONDS
            while loop.time() < ends:
                tasks = [
                    asyncio.ensure_future(upstream.send(call(dice.randrange(8), reads=dice.random() < 0.8)))
                    for _ in range(20)
                ]
                await asyncio.sleep(dice.random() * 0.03)
                for task in tasks:
                    if dice.random() < 0.5:
                        task.cancel()
                for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                    cancelled += isinstance(outcome, asyncio.CancelledError)
                    assert not isinstance(outcome, Exception) or isinstance(outcome, UpstreamError)
            assert cancelled > 100
            answers = await asyncio.gather(*(upstream.send(call(n, reads=True)) for n in range(100, 120)))
            assert [answer.status for answer in answers].count(200) >= 18
            async with asyncio.timeout(5):
                while not at_rest(upstream):  # noqa: ASYNC110  # a path at rest tells nobody
                    await asyncio.sleep(0.01)
