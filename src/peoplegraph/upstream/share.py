"""Single flight: equal reads under way at once, in one request or in many, are one upstream call.

Equal are method, target, body and *credential*. A read that starts after a write to the system has been answered
joins nothing that began before that.
"""

import asyncio
from dataclasses import dataclass, field

from peoplegraph.errors import TimedOut
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Credential, Send

Key = tuple[System, str, str, bytes | None, Credential, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class _Flight:
    """A call under way, and those who wait for what it comes to; None says that it came to nothing."""

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
    that of the others, the call ends with it, and one of the others makes it anew: nobody fails for another's
    haste. So the common case, a read that nobody shares, costs no task and no timer.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._flights: dict[Key, _Flight] = {}

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
                self._part(call.system)
        headers = tuple(call.headers.items())  # validators: their answer may be a 304, which suits nobody else
        key = (call.system, call.method, call.target, call.body, call.credential, headers)
        while (flight := self._flights.get(key)) is not None:
            answer = await self._follow(flight, call)
            if answer is not None:
                return answer
        return await self._lead(key, call)

    async def _lead(self, key: Key, call: Call) -> Answer:
        flight = self._flights[key] = _Flight()
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

    def _part(self, system: System) -> None:
        """Let nobody join what began before a write; who waits for it already goes on waiting."""
        for key in [key for key in self._flights if key[0] is system]:
            del self._flights[key]
