"""Everything that can go wrong, as a caller sees it.

GatewayError                    has a `code` and `extensions`
├── BadInput                    BAD_INPUT
├── IntrospectionDisabled       INTROSPECTION_DISABLED
├── PersistedQueryNotFound      PERSISTED_QUERY_NOT_FOUND: send it once with its text
├── PersistedQueryNotSupported  PERSISTED_QUERY_NOT_SUPPORTED: send texts only
├── DocumentNotTrusted          PERSISTED_QUERY_NOT_IN_LIST
├── DocumentIdRequired          PERSISTED_QUERY_ID_REQUIRED: only trusted documents are taken
├── MissingScope                FORBIDDEN: the caller lacks a scope of the gateway's
└── UpstreamError               has also a `system` and says whether it is `retryable`
    ├── NotConfigured           UPSTREAM_NOT_CONFIGURED
    ├── TimedOut                UPSTREAM_TIMEOUT
    ├── Unavailable             UPSTREAM_UNAVAILABLE
    │   └── CircuitOpen         with `retryAfterMs`
    ├── RateLimited             UPSTREAM_RATE_LIMITED
    ├── OutcomeUnknown          UPSTREAM_OUTCOME_UNKNOWN: a write was sent, no answer came back
    ├── Unauthorized            UPSTREAM_UNAUTHORIZED
    ├── Forbidden               FORBIDDEN; of a mutation, PermissionDenied in its `errors`
    └── BadResponse             UPSTREAM_BAD_RESPONSE
        └── Refused             400, 404, 409, 422: of a mutation, data in its `errors`
            ├── NotFound        on most reads simply null
            ├── AlreadyExists
            └── Invalid         has `issues`, each at a path of the GraphQL input

Anything else that is raised while an operation runs is a bug: `describe` masks it as INTERNAL and logs it.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from graphql import GraphQLError, GraphQLFormattedError, GraphQLSyntaxError

from peoplegraph.systems import System

log = logging.getLogger(__name__)


class GatewayError(Exception):
    """An error whose message and extensions are meant for the caller."""

    code: ClassVar[str]

    @property
    def extensions(self) -> dict[str, Any]:
        """What goes beside `message` in the GraphQL error."""
        return {"code": self.code}


class BadInput(GatewayError):
    """An argument out of range, a malformed id or cursor."""

    code = "BAD_INPUT"


class IntrospectionDisabled(GatewayError):
    """The caller may not read the schema."""

    code = "INTROSPECTION_DISABLED"

    def __init__(self) -> None:
        super().__init__("Introspection needs the scope `introspection`")


class PersistedQueryNotFound(GatewayError):
    """There is no automatic persisted query by this hash; the message is what Apollo's clients look for."""

    code = "PERSISTED_QUERY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")


class PersistedQueryNotSupported(GatewayError):
    """Automatic persisted queries are off; the message is what Apollo's clients look for."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported")


class DocumentNotTrusted(GatewayError):
    """There is no trusted document by this id. The code is that of Apollo's router."""

    code = "PERSISTED_QUERY_NOT_IN_LIST"

    def __init__(self) -> None:
        super().__init__("There is no trusted document with this id")


class DocumentIdRequired(GatewayError):
    """Only trusted documents are executed, and by their ids. The code is that of Apollo's router."""

    code = "PERSISTED_QUERY_ID_REQUIRED"

    def __init__(self) -> None:
        super().__init__("Only trusted documents are executed: send the `documentId` of one, and no `query`")


class MissingScope(GatewayError):
    """The caller may not ask for this, whatever the system would say."""

    code = "FORBIDDEN"

    def __init__(self, system: System, scope: str) -> None:
        super().__init__(f"This needs the scope `{scope}`")
        self.system = system
        self.scope = scope

    @property
    def extensions(self) -> dict[str, Any]:
        """Adds the scope, and the system that it is about."""
        return {**super().extensions, "system": self.system.name, "retryable": False, "scope": self.scope}


class UpstreamError(GatewayError):
    """A system of record failed, or refused."""

    retryable: ClassVar[bool] = False

    def __init__(self, system: System, message: str) -> None:
        super().__init__(message)
        self.system = system

    @property
    def extensions(self) -> dict[str, Any]:
        """The code, which system it was, and whether asking again later may help."""
        return {"code": self.code, "system": self.system.name, "retryable": self.retryable}


class NotConfigured(UpstreamError):
    """The system has no URL in the settings."""

    code = "UPSTREAM_NOT_CONFIGURED"


class TimedOut(UpstreamError):
    """The deadline passed before a read was answered, or before a write was sent.

    `tried` says whether the system had a part in it, or the call was only waiting for its turn.
    """

    code = "UPSTREAM_TIMEOUT"
    retryable = True

    def __init__(self, system: System, message: str, *, tried: bool = True) -> None:
        super().__init__(system, message)
        self.tried = tried


class Unavailable(UpstreamError):
    """No connection, or 500, 502, 503, 504; of a write only where it certainly had no effect."""

    code = "UPSTREAM_UNAVAILABLE"
    retryable = True


class CircuitOpen(Unavailable):
    """Most calls of the last seconds failed, so no call was made; one may be, `retry_after_s` from now."""

    def __init__(self, system: System, retry_after_s: float) -> None:
        super().__init__(system, f"{system.title} has been failing, and is not called for the moment")
        self.retry_after_s = retry_after_s

    @property
    def extensions(self) -> dict[str, Any]:
        """Adds when to come again, in milliseconds."""
        return {**super().extensions, "retryAfterMs": round(self.retry_after_s * 1000)}


class RateLimited(UpstreamError):
    """429, or RPM's daily limit."""

    code = "UPSTREAM_RATE_LIMITED"
    retryable = True


class OutcomeUnknown(UpstreamError):
    """A write was sent, and what came back does not tell whether it took effect."""

    code = "UPSTREAM_OUTCOME_UNKNOWN"


class Unauthorized(UpstreamError):
    """401, RPM's complaints about the key, or no credential to send."""

    code = "UPSTREAM_UNAUTHORIZED"


class Forbidden(UpstreamError):
    """403, or RPM's complaints about permissions. `permission` is the vendor's name for what is missing."""

    code = "FORBIDDEN"

    def __init__(self, system: System, message: str, permission: str | None = None) -> None:
        super().__init__(system, message)
        self.permission = permission

    @property
    def extensions(self) -> dict[str, Any]:
        """Adds the permission, where the vendor's page names one."""
        named = {"permission": self.permission} if self.permission else {}
        return {**super().extensions, **named}


class BadResponse(UpstreamError):
    """An answer that cannot be understood, is too large, or has an unexpected status."""

    code = "UPSTREAM_BAD_RESPONSE"


class Refused(BadResponse):
    """The system understood the call and declined it."""


class NotFound(Refused):
    """404, or RPM's `… not found`."""


class AlreadyExists(Refused):
    """409."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong with the input; `path` leads to it, from the argument's name on."""

    path: tuple[str, ...]
    message: str


class Invalid(Refused):
    """400 or 422, or an input that the gateway knows will be refused."""

    def __init__(self, system: System, message: str, issues: Sequence[Issue] = ()) -> None:
        super().__init__(system, message)
        self.issues = tuple(issues)


_SUGGESTION = re.compile(r"\s*Did you mean [^?]*\?")


def describe(error: GraphQLError, request_id: str, *, suggests: bool = True) -> GraphQLFormattedError:
    """Return `error` as the caller may read it: with a code and the request's id, and masked if it is a bug.

    Unless it `suggests`, GraphQL's own errors do not say what may have been meant: that would tell of the schema.
    """
    formatted = error.formatted
    cause = _cause(error)
    if isinstance(cause, GatewayError):
        extensions = cause.extensions
        forget_where(error)
    elif cause is None or isinstance(cause, GraphQLError):
        extensions = {"code": _request_error_code(error)}
        if not suggests:
            formatted["message"] = _SUGGESTION.sub("", formatted["message"])
    else:
        log.error("request %s failed at %s", request_id, error.path, exc_info=cause)
        formatted["message"] = internal_message(request_id)
        extensions = {"code": "INTERNAL"}
    formatted["extensions"] = {**extensions, "requestId": request_id}
    return formatted


def code_of(error: GraphQLError) -> str:
    """Return an error's code alone."""
    cause = _cause(error)
    if isinstance(cause, GatewayError):
        return cause.code
    return _request_error_code(error) if cause is None or isinstance(cause, GraphQLError) else "INTERNAL"


def _cause(error: GraphQLError) -> Exception | None:
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def forget_where(error: BaseException | None) -> None:
    """Drop where an expected error was raised: those frames hold the request's loaders, and they hold the error.

    In such a circle all that the request had would stay until the garbage collector's next run.
    """
    while error is not None:
        error.__traceback__ = None
        behind, error.__context__ = error.__context__, None
        error = error.original_error if isinstance(error, GraphQLError) else behind


def internal_message(request_id: str) -> str:
    """Return all that a caller learns of a bug."""
    return f"Internal error. The gateway's log has the cause under request {request_id}."


def _request_error_code(error: GraphQLError) -> str:
    """Return the code of an error that GraphQL itself found; the names are Apollo's, which clients know."""
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    return "GRAPHQL_VALIDATION_FAILED" if error.path is None else BadInput.code
