"""Single flight: equal reads under way at once, in one request or in many, are one upstream call.

Equal are method, target, body and *credential*. A read that starts after a write has been answered joins nothing
that began before that and tells of what was written.
"""

import asyncio
from dataclasses import dataclass, field

from peoplegraph.errors import TimedOut
from peoplegraph.upstream.call import Answer, Call, Key, Send

FlightKey = tuple[Key, tuple[tuple[str, str], ...]]
"""A call's key, and its validators: their answer may be a 304, which suits nobody else."""


@dataclass(slots=True)
class _Flight:
    """A call under way, and those who wait for what it comes to; None says that it came to nothing."""

    call: Call
    followers: list["asyncio.Future[Answer | None]"] = field(default_factory=list)

    def land(self, outcome: Answer | Exception | None) -> None:
        for follower in self.followers:
            if follower.done():
                continue
            if isinstance(outcome, Exception):
                follower.set_exception(outcome)
            else:
                follower.set_result(outcome)


class Share:
    """Lets equal reads wait for the first of them.

    An error is everybody's who waits, and never kept. Where the first one is cancelled, or its time is over before
    that of the others, the call ends with it, and one of the others makes it anew. So the common case, a read that
    nobody shares, costs no task and no timer. Nobody joins a call that has less than half of the time that it has
    itself: one caller's haste fails another only where the system takes more than half of the other's time.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._flights: dict[FlightKey, _Flight] = {}

    def __repr__(self) -> str:
        return f"<Share {len(self._flights)} in flight>"

    async def send(self, call: Call) -> Answer:
        """Join an equal read, or send the call."""
        if call.past_caches:
            return await self._send(call)
        if not call.reads:
            try:
                return await self._send(call)
            finally:
                self._detach(call)
        key = (call.key, tuple(call.headers.items()))
        while (flight := self._flights.get(key)) is not None and _has_time_for(call, flight.call):
            answer = await self._follow(flight, call)
            if answer is not None:
                return answer
        return await self._lead(key, call)

    async def _lead(self, key: FlightKey, call: Call) -> Answer:
        flight = self._flights[key] = _Flight(call)
        outcome: Answer | Exception | None = None
        try:
            outcome = await self._send(call)
        except TimedOut:
            raise
        except Exception as error:
            outcome = error
            raise
        else:
            return outcome
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.land(outcome)

    async def _follow(self, flight: _Flight, call: Call) -> Answer | None:
        follower: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        flight.followers.append(follower)
        try:
            async with asyncio.timeout_at(call.deadline):
                return await follower
        except TimeoutError:
            raise TimedOut(call.system, f"{call.system.title} did not answer in time") from None

    def _detach(self, write: Call) -> None:
        """Let nobody join what began before a write; who waits for it already goes on waiting."""
        for key, flight in list(self._flights.items()):
            if write.touches(flight.call):
                del self._flights[key]


def _has_time_for(call: Call, flying: Call) -> bool:
    """Whether a call under way has half of the time, or more, that another one like it has."""
    now = asyncio.get_running_loop().time()
    return 2 * (flying.deadline - now) >= call.deadline - now
