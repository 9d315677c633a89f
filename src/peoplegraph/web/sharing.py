"""Equal queries under way at once are one execution, and its bytes answer them all.

Equal are the request's bytes, the credentials that came with it, and the form of the answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Key = tuple[Any, ...]
Encoded = tuple[int, bytes]
"""A status, and the answer's bytes."""


@dataclass(slots=True)
class _Flight:
    """A query under way, and those who wait for its answer; None says that there is none."""

    began: float
    followers: list["asyncio.Future[Encoded | None]"] = field(default_factory=list)


class Sharing:
    """Lets equal queries wait for the first of them, while that has most of its time before it.

    Nobody joins what began before a mutation was answered, whoever's it was.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._flights: dict[Key, _Flight] = {}

    def __repr__(self) -> str:
        return f"<Sharing {len(self._flights)} in flight>"

    def __contains__(self, key: Key) -> bool:
        """Whether an equal query is under way that may be joined."""
        flight = self._flights.get(key)
        return flight is not None and asyncio.get_running_loop().time() < flight.began + self._longest_s

    def join(self, key: Key) -> "asyncio.Future[Encoded | None]":
        """Return the answer of an equal query that is under way, to be awaited; None if it comes to none."""
        follower: asyncio.Future[Encoded | None] = asyncio.get_running_loop().create_future()
        self._flights[key].followers.append(follower)
        return follower

    async def lead(self, key: Key, answer: Callable[[], Awaitable[Encoded]]) -> Encoded:
        """Answer a query, and those that join it meanwhile."""
        flight = self._flights[key] = _Flight(asyncio.get_running_loop().time())
        outcome: Encoded | None = None
        try:
            outcome = await answer()
            return outcome
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
            for follower in flight.followers:
                if not follower.done():
                    follower.set_result(outcome)

    def detach(self) -> None:
        """Let nobody join what is under way."""
        self._flights.clear()
