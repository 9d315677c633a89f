"""Retries: what may be sent again is, a few times, with jitter, and within a budget.

What may be: a call that is safe to retry, after a connection error, 429, 502, 503 or 504; any other write only
where no byte of it was sent, which is what `Unavailable` of an engine means.
"""

import asyncio
import email.utils
import logging
import random
import time
from collections.abc import Callable
from datetime import UTC

from peoplegraph.errors import CircuitOpen, OutcomeUnknown, Unavailable, UpstreamError, forget_where
from peoplegraph.systems import System
from peoplegraph.upstream.call import TRANSIENT_STATUSES, Answer, Call, Send, leaves_open
from peoplegraph.upstream.outcome import unknown
from peoplegraph.upstream.window import Window

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
FIRST_WAIT_S = 0.1
"""The longest wait before the second attempt; doubled before the third."""

BUDGET_RATIO = 0.1
BUDGET_FLOOR = 3
"""Over ten seconds there are at most a tenth more calls than were asked for; three retries are always allowed."""

Outcome = Answer | UpstreamError
"""What an attempt can come to."""


class Budget:
    """How many retries one system is still good for; pure, told the time."""

    def __init__(self) -> None:
        self._window = Window()

    def __repr__(self) -> str:
        return f"<Budget {self._window!r}>"

    def count_call(self, now: float) -> None:
        """Count a call that somebody asked for."""
        self._window.add(now, calls=1)

    def take_retry(self, now: float) -> bool:
        """Count a retry, for which there was a failure, if there may be one."""
        calls, retries = self._window.totals(now)
        if retries + 1 > max(BUDGET_FLOOR, calls * BUDGET_RATIO):
            return False
        self._window.add(now, failures=1)
        return True


def wait_before_retry(  # noqa: PLR0913  # everything that it decides by
    call: Call, outcome: Outcome, *, attempt: int, remaining_s: float, now_unix: float, dice: Callable[[], float]
) -> float | None:
    """Return the seconds to wait before another attempt, or None if there is to be none.

    `attempt` counts from 1; `dice` returns 0 to 1. A wait beyond what remains until the deadline is none at all:
    the caller hears at once.
    """
    if attempt >= MAX_ATTEMPTS or not _may_be_sent_again(call, outcome):
        return None
    wait_s = FIRST_WAIT_S * 2 ** (attempt - 1) * dice()
    if isinstance(outcome, Answer):
        wait_s += retry_after_s(outcome.headers.get("retry-after"), now_unix) or 0
    return wait_s if wait_s < remaining_s else None


def _may_be_sent_again(call: Call, outcome: Outcome) -> bool:
    if isinstance(outcome, Answer):
        return call.safe_to_retry and outcome.status in TRANSIENT_STATUSES
    if isinstance(outcome, Unavailable):
        return not isinstance(outcome, CircuitOpen)  # of a write: it was not sent
    return isinstance(outcome, OutcomeUnknown) and call.safe_to_retry


def retry_after_s(header: str | None, now_unix: float) -> float | None:
    """Read `Retry-After`, in seconds or as an HTTP date; None for what is neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text.lstrip("0")[:9] or 0)
    try:
        date = email.utils.parsedate_to_datetime(text)
        return max((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now_unix, 0)
    except (ValueError, OverflowError):
        return None


class Retry:
    """Sends again what may be sent again."""

    def __init__(self, send: Send, *, dice: Callable[[], float] = random.random) -> None:
        self._send = send
        self._dice = dice
        self._budgets = {system: Budget() for system in System}

    def __repr__(self) -> str:
        return f"<Retry {self._budgets}>"

    async def send(self, call: Call) -> Answer:
        """Send a call, and again as long as that may help; the last outcome is the call's.

        Unless it is a write, an attempt before may have had an effect, and the last one does not settle it.
        """
        loop = asyncio.get_running_loop()
        budget = self._budgets[call.system]
        budget.count_call(loop.time())
        attempt = 1
        may_be_done = False
        while True:
            outcome: Outcome
            try:
                outcome = await self._send(call)
                if outcome.status < 300:
                    return outcome
            except UpstreamError as error:
                outcome = error
            now = loop.time()
            wait_s = wait_before_retry(
                call,
                outcome,
                attempt=attempt,
                remaining_s=call.deadline - now,
                now_unix=time.time(),
                dice=self._dice,
            )
            if wait_s is None or not budget.take_retry(now):
                if may_be_done and not _settles(outcome):
                    raise unknown(call)
                if isinstance(outcome, Answer):
                    return outcome
                raise outcome
            may_be_done = may_be_done or (not call.reads and _leaves_open(outcome))
            if isinstance(outcome, UpstreamError):
                forget_where(outcome)  # nobody else hears of it
            log.info("%s: attempt %d failed, another in %.2f s", call.system.title, attempt, wait_s)
            await asyncio.sleep(wait_s)
            attempt += 1


def _leaves_open(outcome: Outcome) -> bool:
    """Whether it does not say if a write took effect."""
    if isinstance(outcome, Answer):
        return leaves_open(outcome.status)
    return isinstance(outcome, OutcomeUnknown)


def _settles(outcome: Outcome) -> bool:
    """Whether it says what is, also of the attempts before."""
    return isinstance(outcome, Answer) and outcome.status < 500 and outcome.status != 429
