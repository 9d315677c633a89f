"""How many calls a system gets: at once, and in a second. An engine holds them back, slot first and then pace."""

import asyncio
from collections import deque
from dataclasses import dataclass

from peoplegraph.errors import TimedOut
from peoplegraph.upstream.call import Call


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one system; 0 calls per second is no bound."""

    concurrency: int
    calls_per_second: float = 0


@dataclass(frozen=True, slots=True)
class Load:
    """How much one system is called at the moment."""

    slots: int
    in_use: int
    waiting: int


class Slots:
    """How many calls may be under way at once; who waits is served in its order."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._in_use = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<Slots {self.load()}>"

    def load(self) -> Load:
        """Return how many are taken, and waited for."""
        return Load(self._size, self._in_use, sum(not waiter.done() for waiter in self._waiting))

    async def acquire(self) -> None:
        """Wait for one, and take it."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._hand_out()
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self.release()  # it was handed over in the very moment
            raise

    def release(self) -> None:
        """Give one back."""
        self._in_use -= 1
        self._hand_out()

    def resize(self, size: int) -> None:
        """Set how many there are; those that are taken stay taken."""
        self._size = size
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._in_use < self._size:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._in_use += 1
                waiter.set_result(None)


class Pace:
    """Lets no more calls start in any second than there may be; pure, told the time in seconds.

    A start that is still to come can be taken in advance, behind all that were taken before.
    """

    def __init__(self, per_second: float) -> None:
        self._starts: deque[float] = deque()
        self.set(per_second)

    def __repr__(self) -> str:
        return f"<Pace {self._many} in {self._window_s:g} s>"

    def set(self, per_second: float) -> None:
        """Set how many may start in a second."""
        self._many = max(1, int(per_second))
        self._window_s = max(1, 1 / per_second)

    def take(self, now: float, patience_s: float) -> float | None:
        """Take a start and return its time, or None if it is more than `patience_s` from `now`."""
        while self._starts and self._starts[0] + self._window_s <= now:
            self._starts.popleft()
        start = now
        if len(self._starts) >= self._many:
            start = max(now, self._starts[-self._many] + self._window_s, self._starts[-1])
        if start - now > patience_s:
            return None
        self._starts.append(start)
        return start

    def give_back(self, start: float) -> None:
        """Leave a start that was taken to others."""
        if start in self._starts:
            self._starts.remove(start)


def paced(pace: Pace | None, per_second: float) -> Pace | None:
    """Return a pace of so many calls per second, 0 for none; what has started with the one before counts."""
    if not per_second:
        return None
    if pace is None:
        return Pace(per_second)
    pace.set(per_second)
    return pace


async def wait_for_turn(pace: Pace, call: Call) -> None:
    """Wait until a call may start; raises `TimedOut` at once if that is behind its deadline."""
    now = asyncio.get_running_loop().time()
    start = pace.take(now, call.deadline - now)
    if start is None:
        raise TimedOut(call.system, f"{call.system.title} may not be called any faster", tried=False)
    if start > now:
        try:
            await asyncio.sleep(start - now)
        except BaseException:
            pace.give_back(start)
            raise
