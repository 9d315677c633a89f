"""A schema with every construct, whose resolvers do what they should, or not: decided by their place and a seed."""

import asyncio
import enum
import random
from collections.abc import Callable
from typing import Annotated, Any, NewType

import strawberry


class Wrong:
    """An object that is of no type of the schema."""

    def __repr__(self) -> str:
        return "Wrong()"


class Chaos:
    """A request's context: decides what becomes of each field, the same for the same seed."""

    def __init__(self, seed: int, disorder: float) -> None:
        self.seed = seed
        self.disorder = disorder

    def dice(self, info: strawberry.Info) -> random.Random:
        """Return dice that fall the same at the same place."""
        return random.Random(f"{self.seed} {info.path.as_list()}")  # noqa: S311  # the same disorder every time

    def outcome(self, dice: random.Random, make: Callable[[], Any]) -> Any:
        """Return what a resolver returns, or raise."""
        if dice.random() >= self.disorder:
            return make()
        match dice.randrange(5):
            case 0:
                return None
            case 1:
                raise ValueError("raised")
            case 2:
                return ValueError("returned")
            case 3:
                return Wrong()
            case _:
                return [None, make(), Wrong(), ValueError("in a list")]


Info = strawberry.Info[Chaos, Any]


def now(info: Info, make: Callable[[random.Random], Any]) -> Any:
    """Resolve at once; now and then to something that is to be awaited."""
    dice = info.context.dice(info)
    awaited = dice.random() < info.context.disorder / 3

    async def later() -> Any:
        return info.context.outcome(dice, lambda: make(dice))

    return later() if awaited else info.context.outcome(dice, lambda: make(dice))


async def soon(info: Info, make: Callable[[random.Random], Any]) -> Any:
    """Resolve some turns of the loop later."""
    dice = info.context.dice(info)
    for _ in range(dice.randrange(3)):
        await asyncio.sleep(0)
    return info.context.outcome(dice, lambda: make(dice))


@strawberry.enum
class Color(enum.Enum):
    """An enum whose values are not its names."""

    RED = "r"
    GREEN = strawberry.enum_value("g", name="Gruen")


Odd = NewType("Odd", str)
ODD = strawberry.scalar(
    name="Odd", serialize=lambda value: None if value == "none" else f"<{value}>", parse_value=str
)


@strawberry.interface
class Being:
    """An interface with fields of its own."""

    name: str
    age: int | None

    @strawberry.field
    def twice(self, text: str = "x") -> str:
        return text * 2

    @strawberry.field
    async def friend(self, info: Info) -> "Being | None":
        return await soon(info, being)  # type: ignore[no-any-return]

    @strawberry.field
    def friends(self, info: Info, first: int = 2) -> list["Being"]:
        return now(info, lambda dice: [being(dice) for _ in range(min(max(first, 0), 3))])  # type: ignore[no-any-return]


@strawberry.type
class Human(Being):
    """An implementation."""

    nick: str | None

    @strawberry.field
    async def home(self, info: Info) -> "Place":
        return await soon(info, place)  # type: ignore[no-any-return]


@strawberry.type
class Robot(Being):
    """Another one."""

    @strawberry.field
    def serial(self, info: Info) -> strawberry.ID | None:
        return now(info, lambda dice: strawberry.ID(str(dice.random())))  # type: ignore[no-any-return]

    @strawberry.field
    def matrix(self, info: Info) -> list[list[int | None]]:
        return now(info, lambda _: [[1, None], [2]])  # type: ignore[no-any-return]


@strawberry.type
class Place:
    """A type without an interface, with leaves of every kind as plain attributes."""

    id: strawberry.ID
    count: int
    area: float | None
    color: Color
    odd: Odd | None
    tags: list[str] | None
    is_open: bool

    @strawberry.field
    def visitors(self, info: Info) -> list["Thing | None"]:
        return now(info, lambda dice: [thing(dice) for _ in range(3)])  # type: ignore[no-any-return]

    @strawberry.field
    async def owner(self, info: Info) -> Being:
        return await soon(info, being)  # type: ignore[no-any-return]


Thing = Annotated[Human | Robot | Place, strawberry.union("Thing")]


def being(dice: random.Random) -> Being:
    """Make somebody, at times with a name that is none."""
    name: Any = dice.choice(["a", "b", "c", 7, 1.5, None, Wrong()] if dice.random() < 0.1 else ["a", "b"])
    age: Any = dice.choice([1, None, 2**40, True, "3", 2.0] if dice.random() < 0.2 else [1, 2])
    return (
        Human(name=name, age=age, nick=dice.choice([None, "n"]))
        if dice.random() < 0.5
        else Robot(name=name, age=age)
    )


def place(dice: random.Random) -> Place:
    """Make a place, some of whose attributes are not what they should be."""

    def attribute(value: Any) -> Any:
        return dice.choice([None, Wrong(), "none", 3, float("inf"), Color.RED]) if dice.random() < 0.04 else value

    return Place(
        id=attribute(strawberry.ID("p")),
        count=attribute(1),
        area=attribute(1.5),
        color=attribute(Color.GREEN),
        odd=attribute(Odd("o")),
        tags=attribute(["x", "y"]),
        is_open=attribute(dice.random() < 0.5),
    )


def thing(dice: random.Random) -> Any:
    """Make anything."""
    return dice.choice([being, place])(dice)


@strawberry.input
class Filter:
    """An input with a default, a `Maybe` and a list."""

    words: list[str] | None = None
    limit: int = 2
    maybe: strawberry.Maybe[int | None] = None


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def beings(self, info: Info, first: int = 3) -> list[Being]:
        return now(info, lambda dice: [being(dice) for _ in range(min(max(first, 0), 4))])  # type: ignore[no-any-return]

    @strawberry.field
    async def being(self, info: Info) -> Being | None:
        return await soon(info, being)  # type: ignore[no-any-return]

    @strawberry.field
    def things(self, info: Info) -> list[Thing] | None:
        return now(info, lambda dice: [thing(dice) for _ in range(3)])  # type: ignore[no-any-return]

    @strawberry.field
    async def place(self, info: Info) -> Place | None:
        return await soon(info, place)  # type: ignore[no-any-return]

    @strawberry.field
    def places(self, info: Info) -> list[list[Place | None] | None]:
        return now(info, lambda dice: [[place(dice), place(dice)], [place(dice)]])  # type: ignore[no-any-return]

    @strawberry.field
    def echo(
        self,
        filter: Filter | None = None,
        color: Color = Color.RED,
        words: list[str | None] | None = None,
        ident: strawberry.ID | None = None,
        odd: Odd | None = None,
        ratio: float = 0.5,
    ) -> str:
        return repr((filter, color, words, ident, odd, ratio))

    @strawberry.field
    def sure(self, info: Info) -> str:
        return now(info, lambda _: "sure")  # type: ignore[no-any-return]


@strawberry.type
class Mutation:
    """Fields that run one behind the other."""

    @strawberry.mutation
    async def note(self, info: Info, text: str = "t") -> Place | None:
        return None if text == "nothing" else await soon(info, place)

    @strawberry.mutation
    def must(self, info: Info) -> str:
        return now(info, lambda _: "done")  # type: ignore[no-any-return]


SCHEMA = strawberry.Schema(
    Query,
    Mutation,
    types=[Human, Robot],
    scalar_overrides=None,
    config=strawberry.schema.config.StrawberryConfig(scalar_map={Odd: ODD}),
)
