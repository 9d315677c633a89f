"""Equal queries under way at once are one execution, and its bytes answer them all.

Equal are the request's bytes, the credentials that came with it, and the form of the answer.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple

from peoplegraph.flight import Abandoned, Flight
from peoplegraph.observe.requests import Seen
from peoplegraph.upstream.call import Others, Write

Key = tuple[Any, ...]


class Encoded(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    seen: Seen
    """What is known of the request that it was made for."""


class Sharing:
    """Lets equal queries wait for the first of them, while that has most of its time before it.

    Nobody joins what began before a mutation was answered, whoever's it was, and through whichever gateway: what
    others write is to be told by `touched`, and while they cannot be trusted to, nobody joins anybody.
    """

    def __init__(self, longest_s: float, others: Others | None = None) -> None:
        self._longest_s = longest_s
        self._others = others
        self._flights: dict[Key, tuple[float, Flight[Encoded]]] = {}

    def __repr__(self) -> str:
        return f"<Sharing {len(self._flights)} in flight>"

    async def join(self, key: Key) -> Encoded | None:
        """Return the answer of an equal query that is under way; None if there is none, or none any more."""
        if self._others is not None and not self._others.is_trusted:
            return None
        while (began_and_flight := self._flights.get(key)) is not None:
            began, flight = began_and_flight
            if asyncio.get_running_loop().time() >= began + self._longest_s:
                return None
            try:
                return await flight.follow()
            except Abandoned:  # its caller went away
                continue
        return None

    async def lead(self, key: Key, work: Coroutine[Any, Any, Encoded]) -> Encoded:
        """Answer a query, and those that join it meanwhile."""
        flight: Flight[Encoded] = Flight()
        mine = self._flights[key] = (asyncio.get_running_loop().time(), flight)
        try:
            return await flight.lead(_in_the_next_turn(work))
        finally:
            if self._flights.get(key) is mine:
                del self._flights[key]

    def touched(self, _: Write) -> None:
        """Let nobody join what is under way, since it may tell of what was written."""
        self.forget()

    def forget(self) -> None:
        """Let nobody join what is under way."""
        self._flights.clear()


async def _in_the_next_turn(work: Coroutine[Any, Any, Encoded]) -> Encoded:
    """Begin once all that came in this turn of the loop had its chance to join: it may be done without a wait."""
    try:
        await asyncio.sleep(0)
    except BaseException:
        work.close()
        raise
    return await work
