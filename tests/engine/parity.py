"""Runs an operation with the engine and with graphql-core, and compares what they say."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import GraphQLError, OperationDefinitionNode, execute, parse, validate
from graphql.execution.values import VariableValues, get_variable_values

from peoplegraph.engine.plan import Operation, Plan


def is_valid(schema: strawberry.Schema, text: str) -> bool:
    """Whether a document is valid; of those that hypothesis makes up a few are not."""
    core: Any = schema._schema  # noqa: SLF001
    return validate(core, parse(text)) == []


def operations(schema: strawberry.Schema, text: str) -> list[Operation]:
    """Return the operations of a document, which is valid."""
    document = parse(text)
    core: Any = schema._schema  # noqa: SLF001
    assert validate(core, document) == []
    return [Operation(schema, document, d) for d in document.definitions if isinstance(d, OperationDefinitionNode)]


def values(operation: Operation, variables: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
    """Coerce variables."""
    core: Any = operation.schema._schema  # noqa: SLF001
    return get_variable_values(core, operation.definition.variable_definitions or (), dict(variables))


async def assert_equal(
    schema: strawberry.Schema,
    text: str,
    context: Callable[[], Any] = lambda: None,
    root: Any = None,
    *,
    in_order: bool = False,
    **variables: Any,
) -> tuple[Plan, Any, list[GraphQLError]]:
    """Assert that the data are equal, key order included, and the errors; return the engine's.

    Where several errors make the same position null, which of them is reported is nobody's promise, so they count
    as one; and without `in_order` errors may come in any order, as what is awaited does.
    """
    (operation,) = operations(schema, text)
    coerced = values(operation, variables)
    assert not isinstance(coerced, list), coerced
    plan = operation.plan(coerced)
    run = await plan.run(coerced, context(), root)
    core: Any = schema._schema  # noqa: SLF001
    expected: Any = execute(
        core, operation.document, variable_values=variables, context_value=context(), root_value=root
    )
    if isawaitable(expected):
        expected = await expected
    assert json.dumps(run.data) == json.dumps(expected.data), text
    mine, theirs = run.collected.errors, expected.errors or []
    if in_order:
        assert [e.formatted for e in mine] == [e.formatted for e in theirs], text
    assert summary(run.data, mine) == summary(expected.data, theirs), text
    return plan, run.data, mine


def summary(data: Any, errors: list[GraphQLError]) -> dict[str, Any]:
    """Return what the errors say of each position that is null for them."""
    at: dict[str, list[str]] = defaultdict(list)
    for error in errors:
        reached, keys = data, []
        for key in error.path or ():
            if reached is None:
                break
            keys.append(key)
            reached = reached[key]
        whole = len(keys) == len(error.path or ())
        at[json.dumps(keys)].append(json.dumps(error.formatted, sort_keys=True) if whole else "propagated")
    return {place: sorted(set(said)) for place, said in at.items()}
