"""Calls per second, and calls at once: over either engine."""

import asyncio
import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from peoplegraph.errors import TimedOut
from peoplegraph.systems import System
from peoplegraph.upstream.http1 import Http1Engine
from peoplegraph.upstream.limit import Limits, Pace
from tests.scripted import http, scripted
from tests.upstream.engines import Engine, MakeEngine, at_rest, call, engine

__all__ = ["engine"]


@given(
    st.floats(0.2, 50),
    st.lists(st.tuples(st.floats(0, 1), st.none() | st.integers(0, 9)), min_size=1, max_size=100),
)
def test_no_second_has_more_calls_than_it_may(per_second: float, steps: list[tuple[float, int | None]]) -> None:
    """However they come and give up, in no second do more start than the bound; below one, one in its time."""
    pace, now = Pace(per_second), 100.0
    starts: list[float] = []
    for pause, gives_up in steps:
        now += pause
        start = pace.take(now, 1e9)
        assert start is not None
        assert start >= now
        starts.append(start)
        waiting = [each for each in starts if each > now]
        if gives_up is not None and waiting:
            left = waiting[gives_up % len(waiting)]
            pace.give_back(left)
            starts.remove(left)
    starts.sort()
    window_s = max(1, 1 / per_second)
    for i, first in enumerate(starts):
        within = bisect.bisect_left(starts, first + window_s - 1e-6, i) - i
        assert within <= max(1, per_second)


def test_who_cannot_wait_takes_nothing() -> None:
    """A start that would come too late is left to the others, and one that is given back is free."""
    pace = Pace(1)
    assert pace.take(100, 0) == 100
    assert pace.take(100, 0.5) is None
    assert pace.take(100, 2) == 101
    assert pace.take(100, 3) == 102
    pace.give_back(102)
    assert pace.take(100, 3) == 102


@pytest.fixture
def starts() -> list[float]:
    """Return the times at which the upstream was called."""
    return []


async def run(engine: Engine, count: int, within_s: float = 5) -> list[str]:
    """Send calls at once; return what became of them."""
    outcomes = await asyncio.gather(
        *(engine.send(call(within_s=within_s)) for _ in range(count)), return_exceptions=True
    )
    return [type(outcome).__name__ for outcome in outcomes]


async def test_the_pace_holds_where_slots_are_scarce(engine: MakeEngine, starts: list[float]) -> None:
    """Calls that waited for a slot do not go out together behind a slow one."""
    loop = asyncio.get_running_loop()

    async def answer(_: str) -> bytes:
        starts.append(loop.time())
        if len(starts) == 1:
            await asyncio.sleep(0.6)
        return http(200)

    async with scripted(answer) as upstream, engine(upstream.url, limits=Limits(1, 10)) as e:
        assert await run(e, 20) == ["Answer"] * 20
        assert at_rest(e)
    for i, first in enumerate(starts):
        assert bisect.bisect_left(starts, first + 0.95) - i <= 10


async def test_who_cannot_be_called_in_time_fails_at_once(engine: MakeEngine) -> None:
    """Calls beyond the pace and the deadline are TimedOut, are not sent, and leave their slots and turns."""
    async with scripted(lambda _: http(200)) as upstream, engine(upstream.url, limits=Limits(50, 5)) as e:
        outcomes = await run(e, 12, within_s=0.5)
        assert outcomes.count("Answer") == 5
        assert outcomes.count("TimedOut") == 7
        assert len(upstream.requests) == 5
        waiting = [asyncio.ensure_future(e.send(call())) for _ in range(30)]
        await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert at_rest(e)
        assert (await e.send(call(within_s=2))).status == 200


async def test_a_turn_that_does_not_come_says_that_nobody_was_called(engine: MakeEngine) -> None:
    """The error tells a breaker that the system had no part in it."""
    async with scripted(lambda _: http(200)) as upstream, engine(upstream.url, limits=Limits(1, 1)) as e:
        await e.send(call())
        with pytest.raises(TimedOut) as error:
            await e.send(call(within_s=0.1))
    assert not error.value.tried


async def test_the_oldest_request_is_served_first() -> None:
    """Of calls that wait for a slot the oldest request's goes first, and each is told when its own time is over."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(0.05)
        return http(200)

    async with scripted(slow) as upstream:
        async with Http1Engine({System.RPM: upstream.url}, {System.RPM: Limits(1)}) as engine:

            async def send(name: str, since: float, within_s: float = 5) -> str:
                try:
                    await engine.send(replace(call(f"/{name}", within_s=within_s), since=since))
                except TimedOut:
                    return f"{name} was too late"
                return name

            calls = [send("first", 9), send("last", 9), send("late", 0, 0.02), send("now", 0, 0.0004)]
            calls += [send("later", 0, 0.03), send("second", 2), send("third", 2)]
            outcomes = await asyncio.gather(*calls)
            assert await send("again", 0) == "again"
            assert at_rest(engine)
        order = [request.split(" /")[1] for request in upstream.requests]
    assert order == ["first", "second", "third", "last", "again"]
    late = [f"{name} was too late" for name in ("late", "now", "later")]
    assert outcomes == ["first", "last", *late, "second", "third"]
