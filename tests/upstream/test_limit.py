"""Calls per second."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peoplegraph.errors import TimedOut
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Credential
from peoplegraph.upstream.limit import Bucket, Limit


@given(st.floats(0.5, 50), st.lists(st.floats(0, 1), min_size=1, max_size=100))
def test_the_rate_holds(per_second: float, pauses: list[float]) -> None:
    """From any moment on, no more calls start than a second's worth and what comes meanwhile."""
    bucket, now = Bucket(per_second), 100.0
    starts = []
    for pause in pauses:
        now += pause
        wait = bucket.take(now, 1e9)
        assert wait is not None
        starts.append(now + wait)
    assert starts == sorted(starts)
    for i, first in enumerate(starts):
        for count, last in enumerate(starts[i:], start=1):
            assert count <= max(per_second, 1) + (last - first) * per_second + 1 + 1e-6


def test_who_cannot_wait_takes_nothing() -> None:
    """A token that would come too late is left to the others."""
    bucket = Bucket(1)
    assert bucket.take(100, 0) == 0
    assert bucket.take(100, 0.5) is None
    assert bucket.take(100, 2) == 1


async def test_calls_are_held_back_or_refused() -> None:
    """Calls wait for their turn; one whose turn is behind its deadline fails at once, and is not sent."""
    sent: list[float] = []
    loop = asyncio.get_running_loop()

    async def send(_: Call) -> Answer:
        sent.append(loop.time())
        return Answer(200, {}, b"")

    def call(system: System, within_s: float) -> Call:
        return Call(system, "GET", "/x", Credential("K", "k"), loop.time() + within_s, True, True)  # noqa: FBT003

    limit = Limit(send, {System.RPM: 20, System.DISPUTES: 0})
    began = loop.time()
    await asyncio.gather(*(limit.send(call(System.RPM, 5)) for _ in range(24)))
    assert sent[-1] - began >= 0.15
    await asyncio.gather(*(limit.send(call(System.RPM, 5)) for _ in range(2)))
    with pytest.raises(TimedOut) as error:
        await limit.send(call(System.RPM, 0.01))
    assert not error.value.sent
    assert len(sent) == 26
    await asyncio.gather(*(limit.send(call(System.DISPUTES, 0.05)) for _ in range(100)))
    assert len(sent) == 126
