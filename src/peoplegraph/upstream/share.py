"""Single flight: equal reads under way at once, in one request or in many, are one upstream call.

Equal are method, target, body and *credential*. A read that starts after a write to the system has been answered
joins nothing that began before that.
"""

import asyncio
from dataclasses import dataclass, replace

from peoplegraph.errors import TimedOut
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Credential, Send

Key = tuple[System, str, str, bytes | None, Credential, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Answer]
    waiting: int = 0


class Share:
    """Lets equal reads wait for one call.

    That call has `deadline_s` of its own, so that nobody's shorter deadline or cancellation fails the others; it
    is cancelled when nobody waits for it any more. An error is everybody's who waits, and never kept.
    """

    def __init__(self, send: Send, deadline_s: float) -> None:
        self._send = send
        self._deadline_s = deadline_s
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
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await self._join(call)
            except TimedOut:
                if loop.time() >= call.deadline:
                    raise
                # the flight was older than this call, and at its end: the rest of the time is for another one

    async def _join(self, call: Call) -> Answer:
        headers = tuple(call.headers.items())  # validators: their answer may be a 304, which suits nobody else
        key = (call.system, call.method, call.target, call.body, call.credential, headers)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = self._start(key, call)
        flight.waiting += 1
        try:
            async with asyncio.timeout_at(call.deadline):
                return await asyncio.shield(flight.task)
        except TimeoutError:
            raise TimedOut(call.system, f"{call.system.title} did not answer in time") from None
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                flight.task.cancel()  # nothing happens if it is done
                self._forget(key, flight)

    def _start(self, key: Key, call: Call) -> _Flight:
        deadline = max(call.deadline, asyncio.get_running_loop().time() + self._deadline_s)
        flight = _Flight(asyncio.ensure_future(self._send(replace(call, deadline=deadline))))
        flight.task.add_done_callback(lambda _: self._forget(key, flight))
        return flight

    def _forget(self, key: Key, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _part(self, system: System) -> None:
        """Let nobody join what began before a write; who waits for it already goes on waiting."""
        for key in [key for key in self._flights if key[0] is system]:
            del self._flights[key]
