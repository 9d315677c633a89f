"""From an HTTP status to an error: one function, `check`, for every system."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from peoplegraph.errors import (
    AlreadyExists,
    BadResponse,
    Forbidden,
    Invalid,
    Issue,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Unauthorized,
    Unavailable,
    UpstreamError,
)
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, leaves_open

MAX_QUOTED = 500
"""Characters of a vendor's own words that a caller may read."""

InputPaths = Mapping[str, tuple[str, ...]]
"""The vendor's name of a field, and its path in the GraphQL input, from the argument's name on."""


def check(
    call: Call, answer: Answer, *, permission: str | None = None, input_paths: InputPaths | None = None
) -> Answer:
    """Return `answer` if its status is a success, else raise what it means.

    `permission` is what the vendor's page asks for this call, `input_paths` leads a refused field to the
    place in the GraphQL input that it came from.
    """
    if 200 <= answer.status < 300:
        return answer
    raise _error(call, answer, permission, input_paths or {})


def _error(  # noqa: PLR0911  # one line a status
    call: Call, answer: Answer, permission: str | None, input_paths: InputPaths
) -> UpstreamError:
    system, name = call.system, call.system.title
    match answer.status:
        case 401:
            return Unauthorized(system, f"{name} does not accept the credential")
        case 403:
            needs = f" or lacks the permission {permission!r}" if permission else ""
            return Forbidden(system, f"{name} refuses: the credential is not valid{needs}", permission)
        case 404:
            return NotFound(system, f"{name}: not found")
        case 409:
            return AlreadyExists(system, f"{name}: {_message(answer) or 'exists already'}")
        case 400 | 422:
            issues = list(_issues(answer, input_paths))
            return Invalid(system, f"{name}: {_message(answer) or 'the input is not valid'}", issues)
        case 429:
            return RateLimited(system, f"{name} answers no more calls for now")
        case status if leaves_open(status) and not call.reads:
            return OutcomeUnknown(system, f"{name} failed, and does not say whether the write took effect")
        case status if status >= 500:
            return Unavailable(system, f"{name} is not available ({status})")
        case status:
            return BadResponse(system, f"{name} answered with an unexpected status ({status})")


def quoted(text: str) -> str:
    """Return a vendor's words as a caller may read them: without control characters, and cut."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text).strip()[:MAX_QUOTED]


def _error_body(answer: Answer) -> Any:
    """Decode an error's body, which no page prints: anything may be in it, or nothing."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _message(answer: Answer) -> str | None:
    body = _error_body(answer)
    if not isinstance(body, dict):
        return None
    for key in ("message", "error", "detail"):
        if isinstance(body.get(key), str) and body[key].strip():
            return quoted(body[key])
    return "; ".join(issue.message for issue in _issues(answer, {}))[:MAX_QUOTED] or None


def _issues(answer: Answer, input_paths: InputPaths) -> Iterator[Issue]:
    body = _error_body(answer)
    errors = body.get("errors") if isinstance(body, dict) else None
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, str):
            yield Issue(("input",), quoted(error))
        elif isinstance(error, dict) and isinstance(error.get("message"), str):
            field = error.get("field")
            if isinstance(field, str) and field in input_paths:
                yield Issue(input_paths[field], quoted(error["message"]))
            else:
                where = f"{field}: " if isinstance(field, str) else ""
                yield Issue(("input",), quoted(where + error["message"]))


def unexpected(system: System, what: str) -> BadResponse:
    """Make the error of an answer that is well-formed but is not the answer to what was asked."""
    return BadResponse(system, f"{system.title} {what}")
