"""Single flight: equal reads under way at once, in one request or in many, are one upstream call.

Equal are method, target, body and *credential*. A read that starts after a write has been answered joins nothing
that began before that and tells of what was written. What other gateways write is to be told by `touched`; while
they cannot be trusted to, nobody joins anybody.
"""

import asyncio
from contextlib import suppress
from time import perf_counter

from peoplegraph.errors import TimedOut
from peoplegraph.flight import Abandoned, Flight
from peoplegraph.observe import metrics
from peoplegraph.upstream.call import Answer, Call, Key, Others, Send, Write
from peoplegraph.upstream.trail import Source

FlightKey = tuple[Key, tuple[tuple[str, str], ...]]
"""A call's key, and its validators: their answer may be a 304, which suits nobody else."""


class Share:
    """Lets equal reads wait for the first of them.

    An error is everybody's who waits, and never kept. Where the first one is cancelled, or its time is over before
    that of the others, the call ends with it, and one of the others makes it anew. So the common case, a read that
    nobody shares, costs no task and no timer. Nobody joins a call that has less than half of the time that it has
    itself: one caller's haste fails another only where the system takes more than half of the other's time.
    """

    def __init__(self, send: Send, others: Others | None = None) -> None:
        self._send = send
        self._others = others
        self._flights: dict[FlightKey, tuple[Call, Flight[Answer]]] = {}

    def __repr__(self) -> str:
        return f"<Share {len(self._flights)} in flight>"

    async def send(self, call: Call) -> Answer:
        """Join an equal read, or send the call."""
        if not call.reads:
            try:
                return await self._send(call)
            finally:
                self.touched(Write(call.system, call.tags))
        if call.past_caches or (self._others is not None and not self._others.is_trusted):
            return await self._send(call)
        key = (call.key, tuple(call.headers.items()))
        while (flying := self._flights.get(key)) is not None and _has_time_for(call, flying[0]):
            with suppress(Abandoned):
                return await self._follow(flying[1], call)
        flight: Flight[Answer] = Flight()
        mine = self._flights[key] = (call, flight)
        try:
            return await flight.lead(self._send(call), own=TimedOut)
        finally:
            if self._flights.get(key) is mine:
                del self._flights[key]

    async def _follow(self, flight: Flight[Answer], call: Call) -> Answer:
        began = perf_counter()
        outcome: Answer | BaseException = asyncio.CancelledError()
        try:
            async with asyncio.timeout_at(call.deadline):
                outcome = answer = await flight.follow()
                return answer
        except TimeoutError:
            outcome = TimedOut(call.system, f"{call.system.title} did not answer in time")
            raise outcome from None
        except Exception as error:
            outcome = error
            raise
        finally:
            if not isinstance(outcome, Abandoned):
                metrics.shared_calls(call.system).inc()
                if call.trail is not None:
                    call.trail.had(call, Source.SHARED, outcome, began)

    def forget(self) -> None:
        """Let nobody join anything that has begun."""
        self._flights.clear()

    def touched(self, write: Write) -> None:
        """Let nobody join what began before a write; who waits for it already goes on waiting."""
        for key, (call, _) in list(self._flights.items()):
            if write.touches(call):
                del self._flights[key]


def _has_time_for(call: Call, flying: Call) -> bool:
    """Whether a call under way has half of the time, or more, that another one like it has."""
    now = asyncio.get_running_loop().time()
    return 2 * (flying.deadline - now) >= call.deadline - now
