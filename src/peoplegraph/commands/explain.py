"""`peoplegraph explain`: which upstream calls an operation makes at worst, and which it makes when it is run."""

import json
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from graphql import GraphQLError

from peoplegraph.app import build_engine, build_explainer, build_shared, opened_upstream
from peoplegraph.backends import BACKENDS
from peoplegraph.context import own_context
from peoplegraph.engine import Operation
from peoplegraph.errors import describe
from peoplegraph.graph.explain import Explanation
from peoplegraph.scopes import Scope
from peoplegraph.settings import Settings
from peoplegraph.upstream.trail import Trail

REQUEST_ID = "explain"


class ExplainError(Exception):
    """The operation cannot be explained; the message says why."""


def read_variables(path: Path | None) -> dict[str, Any]:
    """Read a file with variables. Raises `ExplainError`, and `OSError`."""
    if path is None:
        return {}
    try:
        variables = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExplainError(f"{path}: {error}") from None
    if not isinstance(variables, dict):
        raise ExplainError(f"{path} must have a JSON object")
    return variables


def find(settings: Settings, text: str, name: str | None) -> Operation:
    """Return an operation of a document. Raises `ExplainError`."""
    document = build_engine(settings).documents.get(text)
    if document.errors:
        raise ExplainError("\n".join(map(str, document.errors)))
    try:
        return document.operation(name)
    except GraphQLError as error:
        raise ExplainError(str(error)) from None


def explain(settings: Settings, operation: Operation, variables: Mapping[str, Any]) -> Explanation:
    """Explain an operation without running it. Raises `ExplainError`."""
    errors = operation.coerce(variables) if variables else None
    if isinstance(errors, list):
        raise ExplainError("\n".join(map(str, errors)))
    values = variables or None
    return build_explainer(settings).explain(operation, values, Trail(), 0, 0)


async def run(
    settings: Settings, operation: Operation, variables: Mapping[str, Any]
) -> tuple[Explanation, list[Any]]:
    """Run an operation against the systems, with the gateway's own keys; return the errors that it had as well.

    Where gateways share a store they hear of what it writes. Raises `ExplainError`.
    """
    engine = build_engine(settings)
    shared = build_shared(settings) if operation.is_mutation else None  # who only reads need not be in the group
    async with opened_upstream(settings, shared, None) as upstream:
        if shared is not None and shared.state() != "up":
            raise ExplainError("the store that gateways share is not there: they would not hear of what it writes")
        began = perf_counter()
        context = own_context(REQUEST_ID, BACKENDS, settings, upstream.send)
        result = await engine.run(operation, variables, context, granted=frozenset(Scope))
        explained = build_explainer(settings).explain(operation, variables, context.trail, began, perf_counter())
    return explained, [describe(error, REQUEST_ID) for error in result.errors]
