"""The audit log: who wrote to which record, by which calls, and what came of it; never what was written."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any

from graphql import GraphQLError
from strawberry import Some
from strawberry.utils.str_converters import to_camel_case

from peoplegraph.context import Context, Info
from peoplegraph.errors import GatewayError, MissingScope
from peoplegraph.graph.scoped import scoped
from peoplegraph.scopes import Scope
from peoplegraph.upstream.trail import Source

MAX_CHARACTERS = 200
"""How much of a key, or of a call's target, is told."""

_KEYS = frozenset({"reference", "by", "rep_id", "account_numbers", "document_numbers"})
"""The arguments that say which record is meant; of any other nothing is told."""

log = logging.getLogger("peoplegraph.audit")


def writes(scope: Scope, description: str) -> Any:
    """Return the decorator of a mutation: a field that is for callers with `scope`, and that is audited.

    Its payload has an `errors` list, and may have a `record_key()` that tells which record was written to.
    """
    field = scoped(scope, description)

    def decorated(resolver: Callable[..., Any]) -> Any:
        @wraps(resolver)
        async def audited(self: Any, info: Info, **arguments: Any) -> Any:
            first = len(info.context.trail.steps)
            payload = None
            outcome = "CANCELLED"
            try:
                payload = await resolver(self, info=info, **arguments)
                outcome = _outcome(payload)
            except Exception as error:
                outcome = error.code if isinstance(error, GatewayError) else "INTERNAL"
                raise
            finally:
                _log(info, arguments, outcome, payload, first)
            return payload

        return field(audited)

    return decorated


def tell_refused(context: Context, operation: str | None, errors: Iterable[GraphQLError]) -> None:
    """Tell of mutations that were not begun, since their caller lacks the scope; they are among the errors."""
    for error in errors:
        if isinstance(error.original_error, MissingScope) and error.path is not None and len(error.path) == 1:
            event = {
                "at": _now(),
                "audit": str(error.path[0])[:MAX_CHARACTERS],
                "caller": str(context.caller),
                "operation": operation and operation[:MAX_CHARACTERS],
                "scope": error.original_error.scope,
                "outcome": error.original_error.code,
                "request": context.request_id,
            }
            log.info("%s", json.dumps(event))


def _outcome(payload: Any) -> str:
    """Return `done`, or the kinds of the refusals; with some links made, `partly` before them."""
    kinds = sorted({getattr(error, "code", type(error).__name__) for error in payload.errors})
    if not kinds:
        return "done"
    return " ".join(["partly" if getattr(payload, "linked", None) else "refused", *kinds])


def _log(info: Info, arguments: Mapping[str, Any], outcome: str, payload: Any, first: int) -> None:
    context = info.context
    record = {to_camel_case(name): _plain(value) for name, value in arguments.items() if name in _KEYS}
    known = payload.record_key() if outcome == "done" and hasattr(payload, "record_key") else None
    name = info.operation.name
    event = {
        "at": _now(),
        "audit": info.field_name,
        "caller": str(context.caller),
        "operation": name.value[:MAX_CHARACTERS] if name else None,
        "record": record | ({"id": known} if known else {}),
        "outcome": outcome,
        "calls": [
            {
                "system": step.call.system.name,
                "call": f"{step.call.method} {step.call.target}"[:MAX_CHARACTERS],
                "outcome": step.outcome,
                "credential": context.owner_of(step.call.credential),
            }
            for step in context.trail.steps[first:]
            if step.source is Source.UPSTREAM
        ],
        "request": context.request_id,
    }
    log.info("%s", json.dumps(event))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _plain(value: Any) -> Any:
    """Return an argument as JSON has it, without what was not given."""
    if isinstance(value, Some):
        return _plain(value.value)
    if isinstance(value, str):
        return value[:MAX_CHARACTERS]
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {to_camel_case(name): _plain(each) for name, each in vars(value).items() if each is not None}
    return value
