"""Plans: what is compiled once, what resolvers are given, and what is left to graphql-core."""

import asyncio
import enum
import itertools
import logging
from typing import Any

import pytest
import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig

from peoplegraph.engine import Engine
from peoplegraph.engine.compiler import Declined
from peoplegraph.engine.plan import MAX_PLANS
from peoplegraph.engine.sites import attribute_chain
from tests.engine.chaos import SCHEMA, Chaos
from tests.engine.parity import assert_equal, operations, values

seen: list[Any] = []


@strawberry.input
class Item:
    """A mutable input."""

    words: list[str]


@strawberry.type
class Leaf:
    """Something with a parent."""

    value: int

    @strawberry.field
    def told(self, parent: strawberry.Parent[Any]) -> str:
        return f"{parent.value}"


@strawberry.type
class Query:
    """Resolvers of every signature."""

    @strawberry.field
    async def info(self, info: strawberry.Info, first: int = 1) -> str:
        seen.append(info)
        return (
            f"{info.field_name} {info.python_name} {info.path.as_list()} {info.variable_values} {info.context}"
            f" {info.root_value} {len(info.selected_fields)} {info.return_type} {first}"
        )

    @strawberry.field
    def leaf(self, root: Any) -> Leaf:
        return Leaf(value=7 if root is None else root)

    @strawberry.field
    def mutable(self, items: list[Item], words: list[str]) -> str:
        before = f"{items} {words}"
        items[0].words.append("changed")
        words.append("changed")
        return before

    @strawberry.field
    async def cancelled(self) -> str | None:
        raise asyncio.CancelledError

    @strawberry.field
    async def slow(self) -> str | None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return "late"

    @strawberry.field
    async def quick(self) -> "Query":
        await asyncio.sleep(0)
        return Query()

    @strawberry.field
    async def order(self, name: str) -> str:
        seen.append(name)
        return name


OWN = strawberry.Schema(Query)


async def test_a_list_that_a_resolver_changes_is_its_own() -> None:
    """Every call has a list of its own, and none of them is the caller's, or the plan's."""

    @strawberry.type
    class Row:
        @strawberry.field
        def taken(self, words: list[str]) -> str:
            return words.pop()

    @strawberry.type
    class Query:
        @strawberry.field
        def rows(self) -> list[Row]:
            return [Row(), Row()]

    engine = Engine(strawberry.Schema(Query))
    for text, variables in (
        ("query ($w: [String!]!) { rows { taken(words: $w) } }", {"w": ["a", "b"]}),
        ('{ rows { taken(words: ["a", "b"]) } }', {}),
        ('query ($w: String!) { rows { taken(words: ["a", $w]) } }', {"w": "b"}),
    ):
        for _ in range(2):
            result = await engine.run(engine.documents.get(text).operation(None), variables)
            assert (result.data, result.errors) == ({"rows": [{"taken": "b"}] * 2}, [])
        assert variables.get("w", "b") in ("b", ["a", "b"])


class OwnInfo(strawberry.Info):
    """A class of infos with a context of its own."""

    @property
    def context(self) -> Any:
        """Return the context's own name."""
        return f"own {self._raw_info.context}"


async def test_infos_of_a_class_of_its_own() -> None:
    """A schema's own class of infos is made as Strawberry makes it, if it changes what is made lazily."""

    @strawberry.type
    class Query:
        @strawberry.field
        def name(self, info: strawberry.Info) -> str:
            return f"{info.context} {info.field_name} {info.path.key}"

    for own, expected in ((OwnInfo, "own x name n"), (strawberry.Info, "x name n")):
        engine = Engine(strawberry.Schema(Query, config=StrawberryConfig(info_class=own)))
        result = await engine.run(engine.documents.get("{ n: name }").operation(None), {}, "x")
        assert (result.data, result.errors) == ({"n": expected}, [])


async def test_resolvers_see_a_real_info() -> None:
    """Every property of `strawberry.Info` is what graphql-core's would be."""
    seen.clear()
    text = "query Q($n: Int) { a: info(first: $n) b: info }"
    await assert_equal(OWN, text, lambda: "context", "root", n=3)
    ours, theirs = seen[0], seen[2]
    assert isinstance(ours, strawberry.Info)
    assert (ours.query, ours.operation) == (theirs.query, theirs.operation)
    assert ours.schema is theirs.schema
    assert ours._raw_info.parent_type is theirs._raw_info.parent_type  # noqa: SLF001


async def test_parents_roots_and_arguments_of_ones_own() -> None:
    """What a resolver does to its arguments is not seen by the next call, nor by the next run."""
    await assert_equal(OWN, "{ leaf { told value } }", root=5)
    for _ in range(2):
        await assert_equal(
            OWN, '{ a: mutable(items: [{ words: ["x"] }], words: ["y"]) b: mutable(items: [], words: []) }'
        )
        await assert_equal(
            OWN,
            "query ($w: [String!]!) { a: mutable(items: [{ words: $w }], words: $w) }",
            w=["z"],
        )


async def test_a_plan_is_made_once_for_each_outcome_of_its_conditions() -> None:
    """The same plan serves every run, and another one where fields are skipped."""
    (operation,) = operations(
        SCHEMA, "query ($s: Boolean!, $n: Int) { beings(first: $n) { name age @skip(if: $s) } }"
    )
    plans = {
        id(operation.plan(values(operation, {"s": skips, "n": number})))  # type: ignore[arg-type]
        for skips in (True, False)
        for number in range(5)
    }
    assert len(plans) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{ __schema { types { name } } }", "__schema is introspection"),
        ('{ __type(name: "A") { name } }', "__type"),
    ],
)
async def test_what_is_declined_says_why(text: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """graphql-core runs it, and the log says the reason at debug level."""
    (operation,) = operations(SCHEMA, text)
    with pytest.raises(Declined, match=why):
        operation.plan(values(operation, {}))  # type: ignore[arg-type]
    caplog.set_level(logging.DEBUG)
    result = await Engine(SCHEMA).run(operation, {}, Chaos(1, 0))
    assert result.errors == []
    assert why in caplog.text


async def test_compiling_can_be_off() -> None:
    """Then graphql-core runs everything, and says the same."""
    engine = Engine(SCHEMA, compiles=False)
    operation = engine.documents.get("query Q { sure }").operation("Q")
    assert (await engine.run(operation, {}, Chaos(1, 0))).data == {"sure": "sure"}
    assert operation._plans == {}  # noqa: SLF001


async def test_wrong_variables_are_no_run() -> None:
    """They are errors, and nothing is resolved."""
    engine = Engine(SCHEMA)
    operation = engine.documents.get("query ($n: Int!) { beings(first: $n) { name } }").operation(None)
    result = await engine.run(operation, {"n": "x"}, Chaos(1, 0))
    assert not result.executed
    assert "Int cannot represent" in result.errors[0].message


def test_names_of_operations() -> None:
    """An unknown one, a missing one and none at all are errors."""
    document = Engine(SCHEMA).documents.get("query a { sure } query b { sure }")
    assert document.operation("b").definition.name.value == "b"  # type: ignore[union-attr]
    for name, said in ((None, "Must provide operation name"), ("c", "Unknown operation named 'c'.")):
        with pytest.raises(GraphQLError, match=said):
            document.operation(name)
    with pytest.raises(GraphQLError, match="Must provide an operation"):
        Engine(SCHEMA).documents.get("").operation(None)


async def test_a_run_that_is_cancelled_cancels_what_it_began() -> None:
    """Nothing goes on behind a caller who has gone."""
    seen.clear()
    (operation,) = operations(OWN, "{ a: slow b: slow }")
    plan = operation.plan(values(operation, {}))  # type: ignore[arg-type]
    task = asyncio.ensure_future(plan.run(values(operation, {})))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)
    assert seen == ["cancelled", "cancelled"]


@pytest.mark.parametrize("text", ["{ cancelled }", "{ cancelled name: __typename quick { __typename } }"])
async def test_what_a_resolver_waits_for_may_be_cancelled(text: str) -> None:
    """That is its field's error, alone and beside others, and does not cancel the run."""
    engine = Engine(OWN)
    result = await engine.run(engine.documents.get(text).operation(None), {})
    assert result.data["cancelled"] is None
    assert [error.path for error in result.errors] == [["cancelled"]]


async def test_a_level_begins_in_one_turn_of_the_loop() -> None:
    """What loaders batch are the calls of one turn: a level's fields are called in order, before any comes back."""
    seen.clear()
    text = '{ a: quick { x: order(name: "ax") y: order(name: "ay") } b: quick { x: order(name: "bx") } }'
    await assert_equal(OWN, text)
    assert seen[:3] == ["ax", "ay", "bx"]


@strawberry.enum
class Odd(enum.Enum):
    """An enum whose members cannot be keys."""

    A = "a"
    __hash__ = None  # type: ignore[assignment]


@strawberry.type
class Corners:
    """What once broke, or was shared."""

    name: str = "n"

    @strawberry.field
    def keyword(self, *, x: int = 5) -> str | None:  # noqa: ARG002  # that is the point
        return self.name

    @strawberry.field
    def both(self, root: strawberry.Parent[Any]) -> str:
        return f"{root is self or root}"

    @strawberry.field
    def odd(self) -> Odd:
        return Odd.A

    @strawberry.field
    def counted(self, x: strawberry.scalars.JSON) -> int:
        counter: Any = x
        counter["n"] = counter.get("n", 0) + 1
        return int(counter["n"])


CORNERS = strawberry.Schema(Corners)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("query ($x: Int = 3) { keyword(x: $x) }", {"x": None}),
        ("{ both }", {}),
        ("{ a: counted(x: {}) b: counted(x: {}) }", {}),
    ],
)
async def test_corners(text: str, variables: dict[str, Any]) -> None:
    """Keywords of a resolver, a parent by another name, literals that are changed: once, and once more."""
    for _ in range(2):
        await assert_equal(CORNERS, text, root=Corners(), **variables)


@pytest.mark.parametrize(
    ("text", "variables"), [("{ odd }", {}), ("query ($s: Boolean = true) { name @skip(if: $s) }", {"s": None})]
)
async def test_what_cannot_be_compiled_is_left_to_graphql_core(text: str, variables: dict[str, Any]) -> None:
    """Whatever goes wrong in compiling, the operation is answered, or refused, as graphql-core does."""
    engine = Engine(CORNERS)
    plain = Engine(CORNERS, compiles=False)
    operation = engine.documents.get(text).operation(None)
    mine = await engine.run(operation, variables, None, Corners())
    theirs = await plain.run(plain.documents.get(text).operation(None), variables, None, Corners())
    assert (mine.data, [e.formatted for e in mine.errors]) == (theirs.data, [e.formatted for e in theirs.errors])


def test_the_plans_of_an_operation_are_bounded() -> None:
    """Conditions that turn out in very many ways keep the last few plans."""
    names = [f"s{n}" for n in range(6)]
    fields = " ".join(f"f{n}: sure @skip(if: ${n})" for n in names)
    (operation,) = operations(SCHEMA, f"query ({', '.join(f'${n}: Boolean!' for n in names)}) {{ {fields} sure }}")
    for chosen in itertools.product([True, False], repeat=6):
        operation.plan(values(operation, dict(zip(names, chosen, strict=True))))  # type: ignore[arg-type]
    assert len(operation._plans) == MAX_PLANS  # noqa: SLF001


def test_attribute_chains() -> None:
    """Functions that read an attribute of an attribute are recognised, and nothing else is."""
    chains = {
        lambda self: self.a: ("a",),
        lambda self: self.a.b.c: ("a", "b", "c"),
        lambda self: self: None,
        lambda self: self.a(): None,
        lambda self: self.a or self.b: None,
        lambda self, other: self.a + other: None,
        lambda: 1: None,
        lambda self: [self.a]: None,
        len: None,
    }
    for function, chain in chains.items():
        assert attribute_chain(function) == chain
