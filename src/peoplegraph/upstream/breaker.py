"""A circuit breaker per system: where most calls fail, no more are made for a while.

Connection errors, timeouts and 5xx are failures, each attempt one; every other status is an answer.
"""

import asyncio
from enum import Enum, auto

from peoplegraph.errors import BadResponse, CircuitOpen, OutcomeUnknown, TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Send
from peoplegraph.upstream.window import Window

MIN_CALLS = 20
"""The calls of the last ten seconds below which a breaker never opens."""

FAILED_SHARE = 0.5
FIRST_PAUSE_S = 5.0
MAX_PAUSE_S = 60.0


class State(Enum):
    """What a breaker does with a call."""

    CLOSED = auto()
    """Lets it pass."""
    OPEN = auto()
    """Fails it at once."""
    PROBING = auto()
    """Fails it at once: another call is finding out whether the system is back."""


class Breaker:
    """The decisions of one breaker; pure, told the time in seconds."""

    def __init__(self) -> None:
        self.state = State.CLOSED
        self._window = Window()
        self._pause_s = FIRST_PAUSE_S
        self._open_until = 0.0

    def __repr__(self) -> str:
        return f"<Breaker {self.state.name} {self._window!r}, pause {self._pause_s:g} s>"

    def admit(self, now: float) -> bool:
        """Whether a call may pass; the first one behind a pause is the probe, and its outcome decides."""
        if self.state is State.OPEN and now >= self._open_until:
            self.state = State.PROBING
            return True
        return self.state is State.CLOSED

    def retry_after_s(self, now: float) -> float:
        """Return the seconds after which a call may pass, where none may now."""
        return max(self._open_until - now, 0.0)

    def record(self, now: float, *, failed: bool, probe: bool) -> None:
        """Take note of the outcome of a call that was let pass."""
        if probe:
            if not failed:
                self.state = State.CLOSED
                self._pause_s = FIRST_PAUSE_S
                self._window.clear()
            else:
                self._pause_s = min(self._pause_s * 2, MAX_PAUSE_S)
                self._open(now)
        elif self.state is State.CLOSED:
            self._window.add(now, calls=1, marked=failed)
            if failed:
                calls, failures = self._window.totals(now)
                if calls >= MIN_CALLS and failures >= calls * FAILED_SHARE:
                    self._open(now)

    def vanish(self, *, probe: bool) -> None:
        """Take note that a call ended without an outcome: behind a probe the next call is one."""
        if probe:
            self.state = State.OPEN

    def _open(self, now: float) -> None:
        self.state = State.OPEN
        self._open_until = now + self._pause_s


class CircuitBreaker:
    """Fails calls at once while their system's breaker is open."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._breakers = {system: Breaker() for system in System}

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self._breakers}>"

    async def send(self, call: Call) -> Answer:
        """Send a call, or raise `CircuitOpen`."""
        loop = asyncio.get_running_loop()
        breaker = self._breakers[call.system]
        if not breaker.admit(loop.time()):
            raise CircuitOpen(call.system, breaker.retry_after_s(loop.time()))
        probe = breaker.state is State.PROBING
        try:
            answer = await self._send(call)
        except (TimedOut, Unavailable, OutcomeUnknown, BadResponse) as error:
            if isinstance(error, TimedOut) and not error.sent:
                breaker.vanish(probe=probe)  # the system has not had its say
            else:
                breaker.record(loop.time(), failed=not isinstance(error, BadResponse), probe=probe)
            raise
        except BaseException:
            breaker.vanish(probe=probe)
            raise
        breaker.record(loop.time(), failed=answer.status >= 500, probe=probe)
        return answer
