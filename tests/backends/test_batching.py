"""Batches: aligned by key, with each key's own error."""

import asyncio
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peoplegraph.backends.batching import Each, Loader, by_key, each, load_many
from peoplegraph.errors import NotFound, Unavailable
from peoplegraph.systems import System


@given(st.lists(st.tuples(st.integers(0, 5) | st.none(), st.integers())))
def test_rows_are_found_by_key(rows: list[tuple[int | None, int]]) -> None:
    """Of several rows with one key the first wins, and rows without one are left out."""
    index = by_key(rows, lambda row: row[0])
    for key in range(6):
        assert index.get(key) == next((row for row in rows if row[0] == key), None)
    assert None not in index


async def test_each_key_has_its_own_outcome() -> None:
    """A value, None where the system knows none, an error: side by side, in the order of the keys."""

    async def load(key: str) -> str:
        await asyncio.sleep(0.01 if key == "slow" else 0)
        if key == "missing":
            raise NotFound(System.RPM, "missing")
        if key == "broken":
            raise ValueError(key)
        return key.upper()

    slow, missing, broken, fine = await each(["slow", "missing", "broken", "fine"], load)
    assert (slow, missing, fine) == ("SLOW", None, "FINE")
    assert isinstance(broken, ValueError)


async def test_a_loader_asks_for_each_key_once() -> None:
    """Keys of one tick are one batch, doubled keys are asked for once, and a key is remembered."""
    batches: list[list[int]] = []

    async def load(keys: list[int]) -> list[int]:
        batches.append(keys)
        return [key * 10 for key in keys]

    loader: Loader[int, int] = Loader(load)
    assert list(await asyncio.gather(loader.load(1), loader.load(2), loader.load(1))) == [10, 20, 10]
    assert await loader.load(2) == 20
    assert batches == [[1, 2]]


async def test_each_key_is_loaded_once() -> None:
    """Whoever asks while a key is loaded, or later, has what the first one has; an error, too."""
    calls: list[int] = []

    async def load(key: int) -> int:
        calls.append(key)
        await asyncio.sleep(0)
        return 10 // key

    loader = Each(load)
    assert list(await asyncio.gather(loader.load(1), loader.load(2), loader.load(1))) == [10, 5, 10]
    assert await loader.load(2) == 5
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await loader.load(0)
    assert calls == [1, 2, 0]
    loader.prime(1, 11)
    loader.prime(3, 33)
    assert (await loader.load(1), await loader.load(3)) == (10, 33)
    assert (loader.holds(1), loader.holds(4)) == (True, False)
    loader.clear_where(lambda key: key == 1)
    assert (loader.holds(1), loader.holds(2)) == (False, True)
    loader.clear(2)
    loader.clear_all()
    assert not loader.holds(3)


async def test_a_cancelled_load_is_taken_over() -> None:
    """Where who asked first is cancelled, another one that waits makes the call anew."""
    calls: list[int] = []

    async def load(key: int) -> int:
        calls.append(key)
        await asyncio.sleep(0.01)
        return key

    loader = Each(load)
    first, second, third = (asyncio.ensure_future(loader.load(1)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    assert list(await asyncio.gather(second, third)) == [1, 1]
    assert first.cancelled()
    assert calls == [1, 1]


async def test_loaders_do_not_keep_their_owner() -> None:
    """An object whose methods its loaders call goes as soon as nobody has it."""

    class Owner:
        def __init__(self) -> None:
            self.each = Each(self.load)
            self.loader = Loader(self.load_all)

        async def load(self, key: int) -> int:
            return key

        async def load_all(self, keys: list[int]) -> list[int]:
            return keys

    owner = Owner()
    assert (await owner.each.load(1), await owner.loader.load(2)) == (1, 2)
    each, gone = owner.each, weakref.ref(owner)
    del owner
    assert gone() is None
    for _ in range(2):
        with pytest.raises(ReferenceError, match="has ended"):
            await each.load(3)


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    """Each caller of a loader has a future of its own: one that is cancelled leaves the others theirs."""

    async def load(keys: list[int]) -> list[int]:
        await asyncio.sleep(0.01)
        return keys

    loader: Loader[int, int] = Loader(load)
    first, second = loader.load(1), loader.load(1)
    first.cancel()
    assert await second == 1


async def test_errors_stand_in_their_place() -> None:
    """A key's error is raised where the key is awaited, and stands at its place among many."""

    async def load(keys: list[int]) -> list[int | None | Exception]:
        return [ValueError("two") if key == 2 else None if key == 3 else key for key in keys]

    loader: Loader[int, int | None] = Loader(load)
    with pytest.raises(ValueError, match="two"):
        await loader.load(2)
    first, second, third = await load_many(lambda: loader, [1, 2, 3], lambda key, value: f"{key}={value}")
    assert (first, third) == ("1=1", None)
    assert isinstance(second, ValueError)


async def test_who_asks_again_for_a_batch_that_failed_has_it_tried_again() -> None:
    """Its error says nothing of each key, so it is not remembered as theirs."""
    outcomes: list[Exception | list[int]] = [Unavailable(System.RPM, "down"), [7]]

    async def load(_: list[int]) -> list[int]:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    loader = Loader(load)
    with pytest.raises(Unavailable):
        await loader.load(1)
    assert await loader.load(1) == 7


async def test_a_failed_batch_fails_each_of_its_keys() -> None:
    """An error of the batch is every key's error, and the next request for a key tries anew."""
    attempts = []

    async def load(keys: list[int]) -> list[int]:
        attempts.append(keys)
        if len(attempts) == 1:
            raise ValueError("down")
        return keys

    loader: Loader[int, int] = Loader(load)
    outcomes = await asyncio.gather(loader.load(1), loader.load(2), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["down", "down"]
    assert await loader.load(1) == 1
