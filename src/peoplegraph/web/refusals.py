"""What is said to who is not let in, asks for too much, or asks for nothing that there is."""

import math
from typing import Any

from peoplegraph.access.caller import KeysUnavailable, Unauthenticated
from peoplegraph.access.quotas import TooMany
from peoplegraph.errors import internal_message
from peoplegraph.web.protocol import RequestError


class Ending(Exception):
    """The gateway ends before the request does."""


Refusal = Ending | RequestError | Unauthenticated | KeysUnavailable | TooMany


def as_request_error(error: Refusal) -> RequestError:
    """Return a refusal with its status, code and headers."""
    match error:
        case Unauthenticated():
            challenge = 'Bearer realm="peoplegraph"' + (', error="invalid_token"' if error.given else "")
            return RequestError(401, str(error), code="UNAUTHENTICATED", WWW_Authenticate=challenge)
        case KeysUnavailable():
            message = "The keys to check the token with cannot be had for now"
            return RequestError(503, message, code="AUTHENTICATION_UNAVAILABLE", Retry_After="10")
        case TooMany():
            wait = str(max(1, math.ceil(error.retry_after_s)))
            return RequestError(429, str(error), code="RATE_LIMITED", limit=error.limit, Retry_After=wait)
        case Ending():
            message = "The gateway ends; of a mutation it is not known whether it was carried out"
            return RequestError(503, message, code="SHUTTING_DOWN", Retry_After="1", Connection="close")
        case RequestError():
            return error


def bug(request_id: str) -> RequestError:
    """Return all that is said of a bug."""
    return RequestError(500, internal_message(request_id), code="INTERNAL")


def graphql_error(error: RequestError, request_id: str) -> dict[str, Any]:
    """Return a refusal as GraphQL has errors."""
    return {"message": str(error), "extensions": {"code": error.code, "requestId": request_id}}
