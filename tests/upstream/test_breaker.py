"""The circuit breaker."""

import asyncio
import contextlib

import pytest
from msgspec.structs import replace

from peoplegraph.errors import CircuitOpen, OutcomeUnknown, TimedOut, Unavailable, UpstreamError
from peoplegraph.systems import System
from peoplegraph.upstream.breaker import Breaker, CircuitBreaker, State
from peoplegraph.upstream.call import Answer, Call, Credential


def fed(failures: int, successes: int, now: float = 100) -> Breaker:
    """Return a breaker that has seen successes, and then failures."""
    breaker = Breaker()
    for number in range(successes + failures):
        ticket = breaker.admit(now)
        if ticket is not None:
            breaker.record(now, ticket, failed=number >= successes)
    return breaker


def admitted(breaker: Breaker, now: float) -> int:
    """Return the ticket of a call that is let pass."""
    ticket = breaker.admit(now)
    assert ticket is not None
    return ticket


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
    """What is more than ten seconds old is forgotten, and nothing younger."""
    breaker = fed(19, 0, now=100)
    breaker.record(110.2, admitted(breaker, 110.2), failed=True)
    assert breaker.state is State.CLOSED
    breaker = fed(19, 0, now=100)
    breaker.record(109.9, admitted(breaker, 109.9), failed=True)
    assert breaker.state is State.OPEN


def test_a_probe_decides_and_pauses_double() -> None:
    """It stays open 5 s, lets one call pass, and doubles the pause up to 60 s while that fails."""
    breaker = fed(20, 0)
    now = 100.0
    for pause in (5, 10, 20, 40, 60, 60):
        assert breaker.admit(now + pause - 0.1) is None
        assert breaker.retry_after_s(now + 1) == pause - 1
        now += pause
        probe = admitted(breaker, now)
        assert breaker.admit(now) is None
        assert breaker.retry_after_s(now) == 1
        breaker.record(now, probe, failed=True)
    now += 60
    breaker.record(now, admitted(breaker, now), failed=False)
    assert breaker.state is State.CLOSED
    assert repr(breaker) == "<Breaker CLOSED <Window 0, 0 of them failures>, pause 5 s>"


def test_late_outcomes_decide_nothing() -> None:
    """What was let pass before it opened is not its probe, and does not open it anew once that was good."""
    breaker = Breaker()
    hanging = [admitted(breaker, 100) for _ in range(20)]
    for ticket in [admitted(breaker, 100) for _ in range(20)]:
        breaker.record(100, ticket, failed=True)
    breaker.record(101, hanging[0], failed=False)
    assert "OPEN" in repr(breaker)
    breaker.record(105, admitted(breaker, 105), failed=False)
    for ticket in hanging:
        breaker.record(110, ticket, failed=True)
    assert breaker.state is State.CLOSED


def test_a_probe_that_vanishes_is_followed_by_another() -> None:
    """A probe without an outcome decides nothing."""
    breaker = fed(20, 0)
    breaker.no_outcome(admitted(breaker, 105))
    assert breaker.admit(105) is not None


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
        (TimedOut(System.RPM, "x", tried=False), False),
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


@pytest.mark.parametrize(("within_s", "opens"), [(0.02, False), (0.3, True)])
async def test_a_caller_in_a_hurry_opens_nothing(within_s: float, opens: bool) -> None:
    """A deadline that passes is a failure of the system only if it had a fair time."""

    async def late(call: Call) -> Answer:
        await asyncio.sleep(max(call.deadline - asyncio.get_running_loop().time(), 0))
        raise TimedOut(System.RPM, "late")

    breaker = CircuitBreaker(late, fair_s=0.2)
    hasty = [replace(call(), deadline=asyncio.get_running_loop().time() + within_s) for _ in range(20)]
    await asyncio.gather(*(breaker.send(c) for c in hasty), return_exceptions=True)
    assert ("OPEN" in repr(breaker)) is opens


async def test_a_probe_that_is_cancelled_is_followed_by_another() -> None:
    """A breaker does not wait for ever for a probe that was given up."""
    hang = asyncio.Event()
    down = True

    async def send(_: Call) -> Answer:
        if down:
            raise Unavailable(System.RPM, "down")
        await hang.wait()
        return Answer(200, {}, b"")

    breaker = CircuitBreaker(send)
    for _ in range(20):
        with pytest.raises(Unavailable):
            await breaker.send(call())
    down = False
    rpm = breaker._breakers[System.RPM]  # noqa: SLF001  # its pause is over
    rpm._open_until = 0  # noqa: SLF001
    probe = asyncio.ensure_future(breaker.send(call()))
    await asyncio.sleep(0)
    assert rpm.state is State.PROBING
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    hang.set()
    assert (await breaker.send(call())).status == 200
