"""Single flight: of several who want the same at once, the first one does the work, and the others wait for it."""

import asyncio
from collections.abc import Awaitable
from typing import Generic, TypeVar

T = TypeVar("T")


class Abandoned(Exception):
    """Who led a flight was cancelled, or gave it up; somebody else may lead another."""


class Flight(Generic[T]):
    """A piece of work under way, or what it came to.

    Who leads does it as if there were nobody else: what nobody shares costs no task and no timer. An error is
    everybody's.
    """

    __slots__ = ("_followers", "_outcome")

    def __init__(self) -> None:
        self._followers: list[asyncio.Future[T]] = []
        self._outcome: tuple[T | None, Exception | None] | None = None

    def __repr__(self) -> str:
        return f"<Flight {'landed' if self._outcome else 'under way'}, {len(self._followers)} following>"

    async def lead(self, work: Awaitable[T], own: type[Exception] | tuple[()] = ()) -> T:
        """Do the work, and let all who follow have what it comes to; an `own` error is the leader's alone."""
        try:
            value = await work
        except Exception as error:
            self.fail(Abandoned() if isinstance(error, own) else error)
            raise
        except BaseException:
            self.fail(Abandoned())
            raise
        self.land(value)
        return value

    def follow(self) -> "asyncio.Future[T]":
        """Return the future of what the work comes to; it raises what the leader did, or `Abandoned`."""
        follower: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._outcome is None:
            self._followers.append(follower)
        else:
            _settle(follower, *self._outcome)
        return follower

    def land(self, value: T) -> None:
        """Let everybody have a value."""
        self._end(value, None)

    def fail(self, error: Exception) -> None:
        """Let everybody have an error."""
        self._end(None, error)

    def _end(self, value: T | None, error: Exception | None) -> None:
        self._outcome = (value, error)
        for follower in self._followers:
            if not follower.done():
                _settle(follower, value, error)
        self._followers.clear()


def _settle(future: "asyncio.Future[T]", value: T | None, error: Exception | None) -> None:
    if error is None:
        future.set_result(value)  # type: ignore[arg-type]  # without an error it is a T
    else:
        future.set_exception(error)
