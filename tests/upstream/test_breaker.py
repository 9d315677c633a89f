"""The circuit breaker."""

import asyncio
import contextlib

import pytest

from peoplegraph.errors import CircuitOpen, OutcomeUnknown, TimedOut, Unavailable, UpstreamError
from peoplegraph.systems import System
from peoplegraph.upstream.breaker import Breaker, CircuitBreaker, State
from peoplegraph.upstream.call import Answer, Call, Credential


def fed(failures: int, successes: int, now: float = 100) -> Breaker:
    """Return a breaker that has seen successes, and then failures."""
    breaker = Breaker()
    for number in range(successes + failures):
        breaker.record(now, failed=number >= successes, probe=False)
    return breaker


@pytest.mark.parametrize(
    ("failures", "successes", "state"),
    [
        (19, 0, State.CLOSED),
        (20, 0, State.OPEN),
        (10, 10, State.OPEN),
        (9, 11, State.CLOSED),
        (50, 51, State.CLOSED),
        (50, 50, State.OPEN),
    ],
)
def test_it_opens_when_half_of_twenty_failed(failures: int, successes: int, state: State) -> None:
    """At least 20 calls in the last ten seconds, and at least half of them failed."""
    assert fed(failures, successes).state is state


def test_failures_of_long_ago_do_not_count() -> None:
    """What is ten seconds old is forgotten."""
    breaker = fed(19, 0, now=100)
    breaker.record(110, failed=True, probe=False)
    assert breaker.state is State.CLOSED


def test_a_probe_decides_and_pauses_double() -> None:
    """It stays open 5 s, lets one call pass, and doubles the pause up to 60 s while that fails."""
    breaker = fed(20, 0)
    now = 100.0
    for pause in (5, 10, 20, 40, 60, 60):
        assert not breaker.admit(now + pause - 0.1)
        assert breaker.retry_after_s(now + 1) == pause - 1
        now += pause
        assert breaker.admit(now)
        assert not breaker.admit(now)
        breaker.record(now, failed=True, probe=True)
    now += 60
    assert breaker.admit(now)
    breaker.record(now, failed=False, probe=True)
    assert breaker.state is State.CLOSED
    assert repr(breaker) == "<Breaker CLOSED <Window 0, 0 marked>, pause 5 s>"


def test_late_outcomes_do_not_move_an_open_breaker() -> None:
    """What was sent before it opened is not its probe."""
    breaker = fed(20, 0)
    breaker.record(101, failed=False, probe=False)
    assert breaker.state is State.OPEN


def test_a_probe_that_vanishes_is_followed_by_another() -> None:
    """A probe without an outcome decides nothing."""
    breaker = fed(20, 0)
    assert breaker.admit(105)
    breaker.vanish(probe=True)
    assert breaker.admit(105)


def call(system: System = System.RPM) -> Call:
    """Return a read."""
    deadline = asyncio.get_running_loop().time() + 5
    return Call(system, "GET", "/x", Credential("K", "k"), deadline, reads=True, safe_to_retry=True)


@pytest.mark.parametrize(
    ("outcome", "opens"),
    [
        (Unavailable(System.RPM, "x"), True),
        (OutcomeUnknown(System.RPM, "x"), True),
        (TimedOut(System.RPM, "x"), True),
        (TimedOut(System.RPM, "x", sent=False), False),
        (Answer(500, {}, b""), True),
        (Answer(503, {}, b""), True),
        (Answer(429, {}, b""), False),
        (Answer(404, {}, b""), False),
        (Answer(200, {}, b""), False),
    ],
)
async def test_what_counts_as_a_failure(outcome: Answer | Exception, opens: bool) -> None:
    """Connection errors, timeouts and 5xx do; other answers, and calls that were never sent, do not."""
    seen: list[Call] = []

    async def send(call: Call) -> Answer:
        seen.append(call)
        if isinstance(outcome, Exception) and call.system is System.RPM:
            raise outcome
        return outcome if isinstance(outcome, Answer) else Answer(200, {}, b"")

    breaker = CircuitBreaker(send)
    for _ in range(20):
        with contextlib.suppress(UpstreamError):
            await breaker.send(call())
    assert len(seen) == 20
    if opens:
        with pytest.raises(CircuitOpen) as error:
            await breaker.send(call())
        assert error.value.extensions["code"] == "UPSTREAM_UNAVAILABLE"
        assert 4000 < error.value.extensions["retryAfterMs"] <= 5000
        assert len(seen) == 20
        assert (await breaker.send(call(System.DISPUTES))).status >= 200
    else:
        with contextlib.suppress(TimedOut):
            await breaker.send(call())
        assert len(seen) == 21
