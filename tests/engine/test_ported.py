"""graphql-core's own tests of execution, as cases: lists, nulls and awaitables, types and mutations.

After its tests/execution: test_lists, test_nonnull, test_union_interface, test_abstract and test_mutations. What is
asserted is that the engine and graphql-core say the same.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
import strawberry

from tests.engine.parity import assert_equal


async def later(value: Any) -> Any:
    """Return a value, or raise it, a turn of the loop later."""
    await asyncio.sleep(0)
    if isinstance(value, Exception):
        raise value
    return value


def generated(*values: Any) -> Iterator[Any]:
    """Yield values."""
    yield from values


async def streamed(*values: Any) -> AsyncIterator[Any]:
    """Yield values a turn of the loop after one another."""
    for value in values:
        await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        yield value


@strawberry.type
class Lists:
    """Whatever a request's context makes, as lists of each nullability."""

    @strawberry.field
    def a(self, info: strawberry.Info) -> list[int | None] | None:
        return info.context()  # type: ignore[no-any-return]

    @strawberry.field
    def b(self, info: strawberry.Info) -> list[int | None]:
        return info.context()  # type: ignore[no-any-return]

    @strawberry.field
    def c(self, info: strawberry.Info) -> list[int] | None:
        return info.context()  # type: ignore[no-any-return]

    @strawberry.field
    def d(self, info: strawberry.Info) -> list[int]:
        return info.context()  # type: ignore[no-any-return]

    @strawberry.field
    def nested(self, info: strawberry.Info) -> list[list[int] | None] | None:
        return [info.context(), [1]]


@strawberry.type
class ListQuery:
    """A nullable and a non-null way to the lists."""

    @strawberry.field
    def may(self) -> Lists | None:
        return Lists()

    @strawberry.field
    async def must(self) -> Lists:
        return Lists()


LISTS = strawberry.Schema(ListQuery)
VALUES: dict[str, Callable[[], Any]] = {
    "list": lambda: [1, 2],
    "tuple": lambda: (1, 2),
    "set": lambda: {1},
    "generator": lambda: generated(1, 2),
    "range": lambda: range(3),
    "empty": list,
    "null inside": lambda: [1, None, 2],
    "null": lambda: None,
    "error inside": lambda: [1, ValueError("bad"), 2],
    "error": lambda: ValueError("bad"),
    "two errors": lambda: [ValueError("one"), ValueError("two")],
    "wrong inside": lambda: [1, "two", 3.5, True],
    "a text": lambda: "12",
    "a dict": lambda: {"a": 1},
    "a number": lambda: 1,
    "awaited": lambda: later([1, 2]),
    "awaited null": lambda: later(None),
    "awaited null inside": lambda: later([1, None]),
    "awaited error": lambda: later(ValueError("bad")),
    "items awaited": lambda: [later(1), later(2)],
    "items awaited, null": lambda: [later(1), later(None), 2],
    "items awaited, error": lambda: [later(1), later(ValueError("bad")), later(2)],
    "all awaited": lambda: later([later(1), later(None)]),
    "async generator": lambda: streamed(1, 2),
    "async generator, null": lambda: streamed(1, None),
    "async generator, error": lambda: streamed(1, ValueError("bad")),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("way", ["may", "must"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_lists(value: Callable[[], Any], way: str) -> None:
    """Each value for a list of each nullability, alone and beside the others."""
    for field in ("a", "b", "c", "d", "nested"):
        await assert_equal(LISTS, f"{{ {way} {{ {field} }} }}", lambda: value)
    await assert_equal(LISTS, f"{{ {way} {{ a c }} other: may {{ __typename }} }}", lambda: value)


@strawberry.type
class Data:
    """Fields that are null or raise, at once or later, and the same in one another."""

    @strawberry.field
    def sync(self, info: strawberry.Info) -> str | None:
        return info.context("sync")  # type: ignore[no-any-return]

    @strawberry.field
    def sync_must(self, info: strawberry.Info) -> str:
        return info.context("syncMust")  # type: ignore[no-any-return]

    @strawberry.field
    async def soon(self, info: strawberry.Info) -> str | None:
        return await later(info.context("soon"))  # type: ignore[no-any-return]

    @strawberry.field
    async def soon_must(self, info: strawberry.Info) -> str:
        return await later(info.context("soonMust"))  # type: ignore[no-any-return]

    @strawberry.field
    def nest(self) -> "Data | None":
        return Data()

    @strawberry.field
    def nest_must(self) -> "Data":
        return Data()

    @strawberry.field
    async def soon_nest(self) -> "Data | None":
        return await later(Data())  # type: ignore[no-any-return]

    @strawberry.field
    async def soon_nest_must(self) -> "Data":
        return await later(Data())  # type: ignore[no-any-return]


DATA = strawberry.Schema(Data)
LEAVES = ("sync", "syncMust", "soon", "soonMust")
NESTS = ("nest", "nestMust", "soonNest", "soonNestMust")


def outcomes(what: str) -> Callable[[str], Any]:
    """Return what leaves come to: a value, null, or an error that is raised."""

    def outcome(name: str) -> Any:
        if what == "error":
            if name.startswith("soon"):
                return ValueError(name)
            raise ValueError(name)
        return None if what == "null" else name

    return outcome


@pytest.mark.parametrize("what", ["value", "null", "error"])
@pytest.mark.parametrize("nests", [*itertools.product(NESTS), *itertools.product(NESTS, NESTS)])
async def test_nulls_in_one_another(what: str, nests: tuple[str, ...]) -> None:
    """A leaf of each kind, under each chain of nullable and non-null objects, at once and later."""
    for leaf in LEAVES:
        text = "{ sync " + " { ".join(nests) + f" {{ {leaf} }}" + " }" * len(nests)
        await assert_equal(DATA, text, lambda: outcomes(what))
    everything = " ".join(LEAVES)
    text = "{ " + " { ".join(nests) + f" {{ {everything} }}" + " }" * (len(nests) - 1) + " other: nest { sync } }"
    await assert_equal(DATA, text, lambda: outcomes(what))


@strawberry.interface
class Pet:
    """An interface."""

    name: str


@strawberry.type
class Dog(Pet):
    """One that is what its class says."""

    barks: bool


@strawberry.type
class Cat(Pet):
    """One with a test of its own of what is a cat."""

    meows: bool

    @classmethod
    def is_type_of(cls, value: Any, _: Any) -> bool:
        """Whether something is a cat."""
        return isinstance(value, Cat) or getattr(value, "kind", None) == "cat"


@strawberry.type
class Fish:
    """One that is no pet."""

    scales: int


class Stray:
    """An object that no type of the schema made."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.name = "stray"
        self.meows = True


Animal = Annotated[Dog | Fish, strawberry.union("Animal")]


class Puppy(Dog):
    """A subclass that is no type."""


@strawberry.type
class Zoo:
    """Objects of every class, as every kind of type."""

    @strawberry.field
    def pets(self, info: strawberry.Info) -> list[Pet | None]:
        return info.context()  # type: ignore[no-any-return]

    @strawberry.field
    def animals(self, info: strawberry.Info) -> list[Animal | None]:
        return info.context()  # type: ignore[no-any-return]

    @strawberry.field
    def dogs(self, info: strawberry.Info) -> list[Dog | None]:
        return info.context()  # type: ignore[no-any-return]

    @strawberry.field
    async def cats(self, info: strawberry.Info) -> list[Cat] | None:
        return info.context()  # type: ignore[no-any-return]


ZOO = strawberry.Schema(Zoo, types=[Dog, Cat])
ANIMALS: dict[str, Callable[[], Any]] = {
    "dog": lambda: Dog(name="a", barks=True),
    "cat": lambda: Cat(name="b", meows=False),
    "fish": lambda: Fish(scales=3),
    "stray cat": lambda: Stray("cat"),
    "stray": lambda: Stray("?"),
    "subclass": lambda: Puppy(name="p", barks=False),
    "null": lambda: None,
    "text": lambda: "dog",
    "error": lambda: ValueError("bad"),
    "awaited": lambda: later(Dog(name="c", barks=True)),
}


@pytest.mark.parametrize("animal", ANIMALS.values(), ids=ANIMALS)
async def test_types(animal: Callable[[], Any]) -> None:
    """Objects of every class where an interface, a union, a type and a type with a test of its own are expected."""
    for field, selection in {
        "pets": "__typename name ... on Dog { barks } ... on Cat { meows }",
        "animals": "__typename ... on Dog { name barks } ... on Fish { scales } ... on Pet { name }",
        "dogs": "__typename name barks",
        "cats": "__typename name meows",
    }.items():
        await assert_equal(ZOO, f"{{ {field} {{ {selection} }} }}", lambda: lambda: [animal()])


class Number:
    """Something that mutations change."""

    def __init__(self) -> None:
        self.value = 6


@strawberry.type
class Changed:
    """What a mutation returns."""

    value: int


@strawberry.type
class Change:
    """Mutations that are at once, that come later, and that fail either way."""

    @strawberry.field
    def now(self, info: strawberry.Info, to: int) -> Changed:
        info.context.value = to
        return Changed(value=info.context.value)

    @strawberry.field
    async def soon(self, info: strawberry.Info, to: int) -> Changed:
        await asyncio.sleep(0)
        info.context.value = to
        return Changed(value=info.context.value)

    @strawberry.field
    def fails(self) -> Changed | None:
        raise ValueError("now")

    @strawberry.field
    async def fails_soon(self) -> Changed | None:
        await asyncio.sleep(0)
        raise ValueError("soon")

    @strawberry.field
    async def fails_whole(self) -> Changed:
        raise ValueError("whole")


CHANGE = strawberry.Schema(Zoo, Change)


@pytest.mark.parametrize(
    "text",
    [
        "mutation { a: now(to: 1) { value } b: soon(to: 2) { value } c: now(to: 3) { value } }",
        "mutation { a: now(to: 1) { value } b: fails { value } c: soon(to: 3) { value } d: failsSoon { value } }",
        "mutation { a: soon(to: 1) { value } b: failsWhole { value } c: soon(to: 3) { value } }",
        "mutation { a: failsSoon { value } __typename }",
    ],
)
async def test_mutations(text: str) -> None:
    """They run one behind the other, and none behind one that makes everything null."""
    numbers: list[Number] = []

    def context() -> Number:
        numbers.append(Number())
        return numbers[-1]

    await assert_equal(CHANGE, text, context, in_order=True)
    assert numbers[0].value == numbers[1].value
