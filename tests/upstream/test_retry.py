"""Retries: what is sent again, when, and how often."""

import asyncio
import email.utils
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peoplegraph.errors import BadResponse, CircuitOpen, OutcomeUnknown, TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Credential
from peoplegraph.upstream.retry import Budget, Outcome, Retry, retry_after_s, wait_before_retry

RPM = System.RPM
LOST = OutcomeUnknown(RPM, "lost")
DOWN = Unavailable(RPM, "down")


def call(*, reads: bool = True, safe: bool = True, within_s: float = 5) -> Call:
    """Return a call."""
    deadline = asyncio.get_event_loop_policy().get_event_loop().time() + within_s
    return Call(RPM, "PUT", "/x", Credential("K", "k"), deadline, reads, safe)


def status(code: int, **headers: str) -> Answer:
    """Return an answer."""
    return Answer(code, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


@pytest.mark.parametrize(
    ("outcome", "safe", "again"),
    [
        (status(429), True, True),
        (status(502), True, True),
        (status(503), True, True),
        (status(504), True, True),
        (status(500), True, False),
        (status(404), True, False),
        (DOWN, True, True),
        (LOST, True, True),
        (CircuitOpen(RPM, 1), True, False),
        (status(429), False, False),
        (status(503), False, False),
        (DOWN, False, True),
        (LOST, False, False),
    ],
)
async def test_what_is_sent_again(outcome: Outcome, safe: bool, again: bool) -> None:
    """A call that is safe, after what may pass; any other only where no byte of it was sent."""
    wait = wait_before_retry(
        call(reads=False, safe=safe), outcome, attempt=1, remaining_s=5, now_unix=0, dice=lambda: 0.5
    )
    assert (wait is not None) is again


async def test_waits_grow_with_jitter_and_end() -> None:
    """The wait is up to 0.1 s, then up to 0.2 s, and there is no fourth attempt."""

    def wait(attempt: int, roll: float) -> float | None:
        return wait_before_retry(call(), DOWN, attempt=attempt, remaining_s=5, now_unix=0, dice=lambda: roll)

    assert [wait(1, 0), wait(1, 1), wait(2, 0.5), wait(2, 1), wait(3, 0)] == [0, 0.1, 0.1, 0.2, None]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("3", 3),
        (" 0 ", 0),
        (email.utils.formatdate(1_000_007, usegmt=True), 7),
        (email.utils.formatdate(999_000, usegmt=True), 0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 5000, 999_999_999),
        ("0" * 20 + "60", 60),
        (time.asctime(time.gmtime(1_000_037)), 37),
        (email.utils.formatdate(1_000_037, localtime=False), 37),
        ("Mon, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_in_both_forms(header: str | None, seconds: float | None) -> None:
    """Seconds and HTTP dates are read; anything else is as good as nothing."""
    assert retry_after_s(header, 1_000_000) == seconds


async def test_retry_after_is_obeyed_or_the_call_fails_at_once() -> None:
    """One that is within the deadline is waited for, one beyond it ends the call."""

    def wait(seconds: str) -> float | None:
        outcome = status(503, retry_after=seconds)
        return wait_before_retry(call(), outcome, attempt=1, remaining_s=5, now_unix=0, dice=lambda: 1)

    assert wait("2") == pytest.approx(2.1)  # with the jitter on top
    assert (wait("5"), wait("3600")) == (None, None)


@given(st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), max_size=300))
def test_the_budget_holds_over_every_ten_seconds(steps: list[tuple[float, bool]]) -> None:
    """In no ten seconds are there more retries than three, or a tenth of the calls of that time and a step more."""
    budget, now = Budget(), 100.0
    asked: list[float] = []
    retried: list[float] = []
    for pause, retry in steps:
        now += pause
        if not retry:
            budget.count_call(now)
            asked.append(now)
        elif budget.take_retry(now):
            retried.append(now)
            calls = sum(t >= now - 10.1 for t in asked)
            assert sum(t > now - 10 for t in retried) <= max(3, calls * 0.1)


@pytest.mark.parametrize(("asked", "retries"), [(0, 3), (30, 3), (39, 3), (40, 4), (49, 4), (100, 10)])
def test_the_budget_is_a_tenth(asked: int, retries: int) -> None:
    """Three, or as many as are a tenth, and not one more."""
    budget = Budget()
    for _ in range(asked):
        budget.count_call(100)
    assert sum(budget.take_retry(100) for _ in range(50)) == retries


def scripted(*outcomes: Answer | Exception) -> tuple[Callable[[Call], Any], list[Call]]:
    """Return a `Send` that comes to these outcomes, the last one for ever, and the calls that it saw."""
    calls: list[Call] = []

    async def send(call: Call) -> Answer:
        outcome = outcomes[min(len(calls), len(outcomes) - 1)]
        calls.append(call)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return send, calls


async def test_a_call_is_repeated_until_it_succeeds() -> None:
    """Two failures and a success are three attempts and the success."""
    send, calls = scripted(DOWN, status(503), status(200))
    assert (await Retry(send, dice=lambda: 0).send(call())).status == 200
    assert len(calls) == 3


@pytest.mark.parametrize("outcome", [DOWN, LOST, status(503)])
async def test_the_last_outcome_is_the_calls(outcome: Outcome) -> None:
    """After three attempts the call is what the third came to."""
    send, calls = scripted(outcome)
    retry = Retry(send, dice=lambda: 0)
    if isinstance(outcome, Answer):
        assert await retry.send(call()) is outcome
    else:
        with pytest.raises(type(outcome)):
            await retry.send(call())
    assert len(calls) == 3


@pytest.mark.parametrize("error", [TimedOut(RPM, "late"), BadResponse(RPM, "odd"), ValueError("bug")])
async def test_other_errors_are_not_repeated(error: Exception) -> None:
    """What is over its time, or no answer, or a bug, is not sent again."""
    send, calls = scripted(error)
    with pytest.raises(type(error)):
        await Retry(send, dice=lambda: 0).send(call())
    assert len(calls) == 1


async def test_an_outage_is_not_multiplied() -> None:
    """Of 100 calls to a system that is down 10 more are made, and 3 of a few."""
    send, calls = scripted(DOWN)
    retry = Retry(send, dice=lambda: 0)
    for _ in range(100):
        with pytest.raises(Unavailable):
            await retry.send(call())
    assert 100 < len(calls) <= 110


@pytest.mark.parametrize("first", [LOST, status(500), status(502), status(504)])
@pytest.mark.parametrize(
    "then",
    [
        [status(503), status(503)],
        [DOWN, DOWN],
        [status(429, retry_after="60")],
        [CircuitOpen(RPM, 1)],
        [TimedOut(RPM, "late", tried=False)],
        [LOST, LOST],
    ],
)
async def test_a_write_that_may_be_done_is_not_said_to_be_undone(first: Outcome, then: list[Outcome]) -> None:
    """What an attempt has left open, no later failure settles."""
    send, _ = scripted(first, *then)
    if isinstance(first, Answer) and first.status == 500:
        assert await Retry(send, dice=lambda: 0).send(call(reads=False)) is first  # which says the same
        return
    with pytest.raises(OutcomeUnknown):
        await Retry(send, dice=lambda: 0).send(call(reads=False))


@pytest.mark.parametrize("code", [200, 404, 409, 422])
async def test_an_answer_settles_what_was_open(code: int) -> None:
    """A success or a refusal is what a write came to, whatever became of the attempts before."""
    send, _ = scripted(LOST, status(code))
    assert (await Retry(send, dice=lambda: 0).send(call(reads=False))).status == code
