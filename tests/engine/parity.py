"""Runs an operation with the engine and with graphql-core, and compares what they say."""

import asyncio
import gc
import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError, OperationDefinitionNode, execute, parse, validate
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
    with left_behind():
        expected = await reference(operation, variables, context(), root)
    assert json.dumps(run.data) == json.dumps(expected.data), text
    mine, theirs = run.collected.errors, expected.errors or []
    if in_order:
        assert [e.formatted for e in mine] == [e.formatted for e in theirs], text
    assert summary(run.data, mine) == summary(expected.data, theirs), text
    return plan, run.data, mine


@contextmanager
def left_behind() -> Iterator[None]:
    """Excuse coroutines that nobody awaits: graphql-core has some where a sibling fails; the engine may not."""
    gc.collect(0)  # what the engine has left
    gc.disable()  # what is made meanwhile stays where the youngest are
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
            gc.collect(0)
    finally:
        gc.enable()


async def reference(operation: Operation, variables: Mapping[str, Any], context: Any, root: Any) -> ExecutionResult:
    """Return what graphql-core says, once all is gone that it began."""
    before = asyncio.all_tasks()
    core: Any = operation.schema._schema  # noqa: SLF001
    result: Any = execute(
        core, operation.document, variable_values=dict(variables), context_value=context, root_value=root
    )
    if isawaitable(result):
        result = await result
    while left := asyncio.all_tasks() - before:
        await asyncio.wait(left)
    await asyncio.sleep(0)  # what the last of them has called is called in the next turn
    for error in result.errors or ():
        error.original_error = error.__traceback__ = None
    return result  # type: ignore[no-any-return]


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
