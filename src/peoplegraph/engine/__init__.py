"""Compiled execution of GraphQL operations over any Strawberry schema.

An `Engine` takes a document's text, and keeps what it makes of it: an operation is parsed, checked, validated and
compiled once. What the compiler declines is run by graphql-core, and nobody can tell the two apart.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import GraphQLError, execute
from graphql.execution.values import VariableValues

from peoplegraph.engine.compiler import Declined
from peoplegraph.engine.documents import Document, Documents
from peoplegraph.engine.guard import Guard
from peoplegraph.engine.limits import Limits
from peoplegraph.engine.plan import Operation

__all__ = ["Document", "Engine", "Guard", "Limits", "Operation", "Result"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What an operation came to; `executed` is false for one that was not begun."""

    data: Any
    errors: list[GraphQLError]
    executed: bool = True


class Engine:
    """Runs operations over a schema.

    With `compiles` off graphql-core runs them all; `check` may refuse one, and `guard` some of its fields.
    Strawberry's extensions are not run: the schema should have none that has a part in resolving, or in the answer.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        limits: Limits | None = None,
        *,
        compiles: bool = True,
        check: Callable[[Operation, VariableValues], list[GraphQLError]] | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._guard = guard
        self._check = check
        self._compiles = compiles
        self.documents = Documents(schema, limits or Limits())

    def __repr__(self) -> str:
        return f"<Engine {self.documents!r}>"

    async def run(
        self,
        operation: Operation,
        variables: Mapping[str, Any] | None,
        context: Any = None,
        root: Any = None,
        *,
        granted: Collection[str] = (),
    ) -> Result:
        """Run an operation of a document that has no errors, for somebody to whom this is granted."""
        values, errors = self._prepared(operation, variables)
        if errors:
            return Result(None, errors, executed=False)
        denied = self._guard.denied(operation, granted) if self._guard else None
        if self._compiles:
            try:
                plan = operation.plan(values, denied)
            except Declined as error:
                log.debug("left to graphql-core: %s", error)
            else:
                run = await plan.run(values, context, root)
                return Result(run.data, run.collected.errors)
        result: Any = execute(
            operation.core,
            operation.document,
            root_value=root,
            context_value=context,
            variable_values=dict(variables or {}),
            operation_name=operation.name,
            middleware=denied.middleware if denied else None,
        )
        if isawaitable(result):
            result = await result
        return Result(result.data, result.errors or [])

    def refuse(self, operation: Operation, variables: Mapping[str, Any] | None) -> list[GraphQLError]:
        """Return why an operation would not be run with these variables, if it would not."""
        return self._prepared(operation, variables)[1]

    def _prepared(
        self, operation: Operation, variables: Mapping[str, Any] | None
    ) -> tuple[Any, list[GraphQLError]]:
        """Return the values of the variables, and what speaks against running the operation with them."""
        values: Any = NO_VARIABLES
        if operation.definition.variable_definitions:
            values = operation.coerce(variables)
            if isinstance(values, list):
                return None, values
        return values, self._check(operation, values) if self._check else []


NO_VARIABLES = VariableValues({}, {})
