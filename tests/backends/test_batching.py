"""Batches: aligned by key, with each key's own error."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peoplegraph.backends.batching import Loader, by_key, each, load_many
from peoplegraph.errors import NotFound
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
    assert loader.holds(1)
    assert not loader.holds(3)
    loader.clear_where(lambda key: key == 1)
    assert not loader.holds(1)
    assert loader.holds(2)


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
