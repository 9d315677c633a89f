"""The guard: what a request is not granted is refused at its own field, whoever executes the operation."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import strawberry
from graphql import GraphQLField
from strawberry.schema_directive import Location

from peoplegraph.engine import Engine, Guard

CALLED: list[str] = []


@strawberry.schema_directive(locations=[Location.FIELD_DEFINITION])
class Needs:
    """What a field needs."""

    what: str


@strawberry.interface
class Named:
    """An interface with a guarded field."""

    name: str

    @strawberry.field(directives=[Needs(what="secrets")])
    def secret(self) -> str | None:
        CALLED.append("secret")
        return f"of {self.name}"


@strawberry.type
class Dog(Named):
    """Inherits it."""

    @strawberry.field(directives=[Needs(what="friends")])
    async def friends(self) -> list["Named"] | None:
        CALLED.append("friends")
        return [Dog(name="Fifi")]

    @strawberry.field(directives=[Needs(what="strict")])
    async def strict(self) -> str:
        CALLED.append("strict")
        return "x"


@strawberry.type
class Query:
    """Roots of all kinds."""

    @strawberry.field
    def dog(self) -> Dog | None:
        return Dog(name="Rex")

    @strawberry.field
    async def late(self) -> Named | None:
        return Dog(name="Late")

    @strawberry.field
    async def streamed(self) -> list[Dog]:
        async def dogs() -> AsyncIterator[Dog]:
            yield Dog(name="One")

        return dogs()  # type: ignore[return-value]  # graphql-core takes it, and completes what is below

    @strawberry.field(directives=[Needs(what="friends")])
    async def guarded(self) -> list[Dog] | None:
        CALLED.append("guarded")
        return [Dog(name="A")]


SCHEMA = strawberry.Schema(Query, types=[Dog])


def requires(definition: GraphQLField) -> str | None:
    """Read the directive."""
    field = definition.extensions.get("strawberry-definition")
    return next((d.what for d in getattr(field, "directives", ()) if isinstance(d, Needs)), None)


class Denial(Exception):
    """The error of a field that is refused."""


async def ask(query: str, *, compiles: bool, granted: set[str], variables: Any = None) -> Any:
    """Run a query; return its data, its errors as they are formatted, and which guarded resolvers were called."""
    CALLED.clear()
    engine = Engine(SCHEMA, compiles=compiles, guard=Guard(SCHEMA, requires, lambda need: Denial(f"needs {need}")))
    document = engine.documents.get(query)
    assert document.errors == []
    results = []
    for _ in range(2):  # the second time from what is kept
        result = await engine.run(document.operation(None), variables, granted=granted)
        assert all(isinstance(error.original_error, Denial) for error in result.errors)
        results.append((result.data, sorted(str(error.formatted) for error in result.errors)))
    assert results[0] == results[1]
    return *results[0], list(CALLED)


QUERIES = [
    "{ dog { name secret } }",
    "{ dog { secret name again: secret friends { name secret } } }",
    "{ dog { name } guarded { name } more: guarded { secret } }",
    "{ dog { name strict } late { name } }",
    "{ late { name secret ... on Dog { friends { secret } } } }",
    "{ streamed { name secret friends { name } } }",
    "fragment F on Named { secret } { dog { ...F friends { ...F } } late { ...F } guarded { ...F } }",
    "query ($with: Boolean! = true) { dog { name secret @include(if: $with) friends @skip(if: $with) { name } } }",
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("granted", [set(), {"secrets"}, {"friends"}, {"secrets", "friends"}, {"strict"}])
async def test_the_compiled_and_the_executed_refuse_alike(query: str, granted: set[str]) -> None:
    """Data and errors are the same, and no resolver of a refused field is called."""
    compiled = await ask(query, compiles=True, granted=granted)
    executed = await ask(query, compiles=False, granted=granted)
    assert compiled[:2] == executed[:2]
    for called in (compiled[2], executed[2]):
        assert "secret" not in called or "secrets" in granted
        assert not {"friends", "guarded"} & set(called) or "friends" in granted


async def test_a_refused_field_is_null_and_its_siblings_are_not() -> None:
    """The error has the field's path; what may not be null takes what is above it."""
    data, errors, called = await ask("{ dog { name secret } late { name } }", compiles=True, granted=set())
    assert data == {"dog": {"name": "Rex", "secret": None}, "late": {"name": "Late"}}
    assert len(errors) == 1
    assert "'path': ['dog', 'secret']" in errors[0]
    assert called == []
    data, errors, _ = await ask("{ dog { name strict } late { name } }", compiles=True, granted=set())
    assert data == {"dog": None, "late": {"name": "Late"}}
    assert "'path': ['dog', 'strict']" in errors[0]


async def test_who_may_is_not_held_up() -> None:
    """With everything granted there is nothing to refuse, and everything is called."""
    granted = {"secrets", "friends", "strict"}
    data, errors, called = await ask("{ dog { secret strict friends { name } } }", compiles=True, granted=granted)
    assert data == {"dog": {"secret": "of Rex", "strict": "x", "friends": [{"name": "Fifi"}]}}
    assert errors == []
    assert set(called) == {"secret", "strict", "friends"}


async def test_plans_for_different_grants_are_kept_apart() -> None:
    """What one caller is granted is no other caller's, whoever asked first."""
    guard = Guard(SCHEMA, requires, Denial)
    engine = Engine(SCHEMA, guard=guard)
    operation = engine.documents.get("{ dog { secret } }").operation(None)
    for granted in ({"secrets"}, set(), {"secrets"}, {"friends"}, set()):
        result = await engine.run(operation, None, granted=granted)
        assert result.data == {"dog": {"secret": "of Rex" if "secrets" in granted else None}}
        assert bool(result.errors) is ("secrets" not in granted)
