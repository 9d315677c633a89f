"""A circuit breaker per system: where most calls fail, no more are made for a while.

Connection errors, timeouts and 5xx are failures, each attempt one, and so is an answer to a write that is no HTTP;
every other status is an answer.
"""

import asyncio
import logging
from enum import Enum, auto

from msgspec.structs import replace

from peoplegraph.errors import BadResponse, CircuitOpen, OutcomeUnknown, TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Send
from peoplegraph.upstream.trail import Source
from peoplegraph.upstream.window import Window

MIN_CALLS = 20
"""The calls of the last ten seconds below which a breaker never opens."""

FAILED_SHARE = 0.5
FIRST_PAUSE_S = 5.0
MAX_PAUSE_S = 60.0

CLOCK_S = 0.01
"""How coarse a loop's clock may be."""

PROBE_S = 1.0
"""How long a probe is said to take; nobody knows."""


log = logging.getLogger(__name__)


class State(Enum):
    """What a breaker does with a call."""

    CLOSED = auto()
    """Lets it pass."""
    OPEN = auto()
    """Fails it at once."""
    PROBING = auto()
    """Fails it at once: another call is finding out whether the system is back."""


class Breaker:
    """The decisions of one breaker; pure, told the time in seconds.

    Whoever is let pass has a ticket, and hands it in with the outcome: one from before the last change of state
    decides nothing any more.
    """

    def __init__(self) -> None:
        self.state = State.CLOSED
        self._ticket = 0
        self._window = Window()
        self._pause_s = FIRST_PAUSE_S
        self._open_until = 0.0

    def __repr__(self) -> str:
        return f"<Breaker {self.state.name} {self._window!r}, pause {self._pause_s:g} s>"

    def admit(self, now: float) -> int | None:
        """Return a call's ticket, or None if it may not pass; the first one behind a pause is the probe."""
        if self.state is State.OPEN and now >= self._open_until:
            self._turn(State.PROBING)
            return self._ticket
        return self._ticket if self.state is State.CLOSED else None

    def seen(self, now: float) -> State:
        """Return what it does, to somebody who makes no call: behind its pause it is about to probe."""
        return State.PROBING if self.state is State.OPEN and now >= self._open_until else self.state

    def retry_after_s(self, now: float) -> float:
        """Return the seconds after which a call may pass, where none may now."""
        return max(self._open_until - now, PROBE_S if self.state is State.PROBING else 0.0)

    def record(self, now: float, ticket: int, *, failed: bool) -> None:
        """Take note of the outcome of a call."""
        if ticket != self._ticket:
            return
        if self.state is State.PROBING:
            self._window.clear()
            self._pause_s = min(self._pause_s * 2, MAX_PAUSE_S) if failed else FIRST_PAUSE_S
            if failed:
                self._open(now)
            else:
                self._turn(State.CLOSED)
            return
        self._window.add(now, calls=1, failures=failed)
        if failed:
            calls, failures = self._window.totals(now)
            if calls >= MIN_CALLS and failures >= calls * FAILED_SHARE:
                self._open(now)

    def no_outcome(self, ticket: int) -> None:
        """Take note that a call ended without an outcome: behind a probe the next call is one."""
        if ticket == self._ticket and self.state is State.PROBING:
            self._turn(State.OPEN)

    def _open(self, now: float) -> None:
        self._turn(State.OPEN)
        self._open_until = now + self._pause_s

    def _turn(self, state: State) -> None:
        self.state = state
        self._ticket += 1


class CircuitBreaker:
    """Fails calls at once while their system's breaker is open.

    A call that is over its time is no failure of the system if it had less than `fair_s` from the beginning: a
    caller in a hurry opens nothing for the others.
    """

    def __init__(self, send: Send, fair_s: float = 1.0) -> None:
        self._send = send
        self._fair_s = fair_s
        self._breakers = {system: Breaker() for system in System}

    def state(self, system: System) -> State:
        """Return what the breaker of a system does with a call."""
        return self._breakers[system].seen(asyncio.get_running_loop().time())

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self._breakers}>"

    async def send(self, call: Call) -> Answer:
        """Send a call, or raise `CircuitOpen`."""
        loop = asyncio.get_running_loop()
        breaker = self._breakers[call.system]
        began = loop.time()
        ticket = breaker.admit(began)
        if ticket is None:
            refused = CircuitOpen(call.system, breaker.retry_after_s(began))
            if call.trail is not None:
                call.trail.had(call, Source.REFUSED, refused)
            raise refused
        step = call.trail.begin(call, began) if call.trail is not None else None
        outcome: Answer | BaseException = asyncio.CancelledError()
        sent = call
        if step is not None and step.span is not None and step.span.headers:
            sent = replace(call, headers={**call.headers, **step.span.headers})
        try:
            outcome = answer = await self._send(sent)
        except (TimedOut, Unavailable, OutcomeUnknown, BadResponse) as error:
            outcome = error
            now = loop.time()
            tried = not isinstance(error, TimedOut) or error.tried
            hurried = call.deadline - began < self._fair_s and now > call.deadline - CLOCK_S
            if tried and not hurried:
                self._record(call.system, ticket, now, failed=not isinstance(error, BadResponse))
            else:
                breaker.no_outcome(ticket)
            raise
        except BaseException:
            breaker.no_outcome(ticket)
            raise
        else:
            self._record(call.system, ticket, loop.time(), failed=answer.status >= 500)
            return answer
        finally:
            if call.trail is not None and step is not None:
                call.trail.end(step, outcome)

    def _record(self, system: System, ticket: int, now: float, *, failed: bool) -> None:
        """Take note of an outcome, and tell if that opens or closes the breaker."""
        breaker = self._breakers[system]
        before = breaker.state
        breaker.record(now, ticket, failed=failed)
        if breaker.state is State.OPEN and before is State.CLOSED:
            log.warning("%s fails, and is not called for a while", system.title, extra={"system": system.name})
        elif breaker.state is State.CLOSED and before is not State.CLOSED:
            log.warning("%s is back", system.title, extra={"system": system.name})
