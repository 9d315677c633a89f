"""Loaders' batches: answers are aligned by key, never by position."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from types import MethodType
from typing import Any, Generic, TypeVar, cast

from aiodataloader import DataLoader

from peoplegraph.errors import GatewayError, NotFound, forget_where
from peoplegraph.flight import Abandoned, Flight

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
G = TypeVar("G")
T = TypeVar("T")


class Loader(DataLoader[K, V]):
    """A DataLoader that is told by its constructor how to load one batch; see `weakly`."""

    def __init__(self, load_batch: Callable[[list[K]], Awaitable[Sequence[V | Exception]]]) -> None:
        self._load_batch = weakly(load_batch)
        super().__init__()

    async def batch_load_fn(self, keys: list[K]) -> list[V]:
        """Load the batch; an exception in place of a value is that key's error."""
        try:
            found = list(await self._load_batch(keys))
        except GatewayError as error:
            found = [error] * len(keys)
            for key in keys:
                self.clear(key)  # it says nothing of each: who asks again has it tried again
        for outcome in found:
            if isinstance(outcome, GatewayError):
                forget_where(outcome)  # a future keeps it, too
        return cast("list[V]", found)

    def load(self, key: K) -> "asyncio.Future[V]":
        """Return a future of a key's value, the caller's own; what nobody waits for any more fails in silence."""
        own: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        own.add_done_callback(_retrieve)
        super().load(key).add_done_callback(partial(_hand_on, own))
        return own


class Each(Generic[K, V]):
    """Loads each key once a request, by a call of its own: what a `Loader` is without batches; see `weakly`.

    It need not wait for other keys: who asks first for one makes the call in its own task.
    """

    def __init__(self, load: Callable[[K], Awaitable[V]]) -> None:
        self._load = weakly(load)
        self._flights: dict[K, Flight[V]] = {}

    async def load(self, key: K) -> V:
        """Return a key's value, or raise the error that it came to."""
        while (flight := self._flights.get(key)) is not None:
            with suppress(Abandoned):
                return await flight.follow()
        work = self._load(key)
        mine: Flight[V] = Flight()
        self._flights[key] = mine
        try:
            return await mine.lead(work)
        except Exception:
            raise
        except BaseException:
            if self._flights.get(key) is mine:
                del self._flights[key]
            raise

    def prime(self, key: K, value: V) -> None:
        """Keep a value that was had by another way, unless the key was asked for already."""
        if key not in self._flights:
            flight: Flight[V] = Flight()
            flight.land(value)
            self._flights[key] = flight

    def holds(self, key: K) -> bool:
        """Whether `key` was asked for in this request: its value is there or on its way."""
        return key in self._flights

    def clear(self, key: K) -> None:
        """Forget a key."""
        self._flights.pop(key, None)

    def clear_all(self) -> None:
        """Forget all keys."""
        self._flights.clear()

    def clear_where(self, matches: Callable[[K], bool]) -> None:
        """Forget the keys that match."""
        for key in [key for key in self._flights if matches(key)]:
            del self._flights[key]


def weakly(load: Callable[[T], G]) -> Callable[[T], G]:
    """Return a function that calls a method, and does not keep its object alive.

    Loaders are held by the objects whose methods they call. Held in turn, those would not go with their request but
    with the garbage collector's next run, and every answer in them: half a gigabyte under load.
    """
    if not isinstance(load, MethodType):
        return load
    function, owner = load.__func__, weakref.ref(load.__self__)

    def call(keys: T) -> G:
        held = owner()
        if held is None:
            raise ReferenceError("the request that these loaders were made for has ended")
        return cast("G", function(held, keys))

    return call


def _hand_on(own: "asyncio.Future[V]", shared: "asyncio.Future[V]") -> None:
    error = asyncio.CancelledError() if shared.cancelled() else shared.exception()
    if own.done():
        return
    if isinstance(error, asyncio.CancelledError):
        own.cancel()
    elif error is not None:
        own.set_exception(error)
    else:
        own.set_result(shared.result())


def _retrieve(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()


def by_key(rows: Iterable[V], key: Callable[[V], K | None]) -> dict[K, V]:
    """Index rows; of several with one key the first wins, and rows without a key are left out."""
    index: dict[K, V] = {}
    for row in rows:
        k = key(row)
        if k is not None:
            index.setdefault(k, row)
    return index


async def each(keys: Sequence[K], load: Callable[[K], Awaitable[V]]) -> list[V | None | Exception]:
    """Load keys side by side, one call each: a value, None where the system knows none, or that key's error."""

    async def one(key: K) -> V | None | Exception:
        try:
            return await load(key)
        except NotFound:
            return None
        except Exception as error:  # noqa: BLE001  # it is this key's answer, and raised where it is awaited
            return error

    if len(keys) == 1:
        return [await one(keys[0])]
    return await asyncio.gather(*map(one, keys))


async def settle(results: Iterable[Awaitable[V]]) -> list[V]:
    """Wait for results side by side and return them in order.

    An error stands in its place in the list: GraphQL reports it at the path of that item.
    """
    return cast("list[V]", await asyncio.gather(*results, return_exceptions=True))


async def load_many(
    open_loader: Callable[[], Loader[K, V | None] | Each[K, V | None]],
    keys: Sequence[K],
    shape: Callable[[K, V], G],
) -> list[G | None]:
    """Load keys in their order and shape what was found; an unknown key is None, an error stands in its place."""
    try:
        loader = open_loader()
    except GatewayError as error:  # left out, no credential, or no scope: that is each item's error
        return [cast("None", error)] * len(keys)
    loaded = await settle(loader.load(key) for key in keys)
    return [
        cast("None", found) if found is None or isinstance(found, BaseException) else shape(key, found)
        for key, found in zip(keys, loaded, strict=True)
    ]
