"""GraphQL over HTTP: what a request asks for, and in which form it wants the answer.

Follows the GraphQL-over-HTTP specification (working draft), for POST and GET.
"""

import json
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"

_NO_JSON = "The request holds JSON that cannot be parsed"


class RequestError(Exception):
    """What is asked is no GraphQL request; the message goes to the caller."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Asked(msgspec.Struct, frozen=True):
    """A GraphQL request."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


@lru_cache(maxsize=100)
def media_type(accept: str) -> str:
    """Return the media type that a client prefers, JSON if it does not say. Raises `RequestError`."""
    if not accept or accept == "*/*":
        return JSON
    weights: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
            elif parameter.startswith("charset=") and parameter[8:].strip('"') not in ("utf-8", "utf8"):
                weight = 0.0
        weights[kind] = max(weight, weights.get(kind, 0.0))
    anything = weights.get("*/*", 0.0)
    best = [(weights.get(kind, weights.get("application/*", anything)), kind) for kind in (JSON, GRAPHQL)]
    explicit = [(weight, kind) for weight, kind in best if kind in weights and weight > 0]
    weight, kind = max(explicit or best, key=lambda each: (each[0], each[1] == GRAPHQL and bool(explicit)))
    if weight <= 0:
        raise RequestError(406, f"The answer can be {GRAPHQL} or {JSON}")
    return kind


def of_get(query_string: bytes) -> Asked:
    """Read a GET's parameters. Raises `RequestError`."""
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise RequestError(400, "The URL's parameters are not valid UTF-8") from None
    given: dict[str, Any] = dict(pairs)
    for name in ("variables", "extensions"):
        if given.get(name):
            given[name] = decoded(given[name])
        elif name in given:
            given[name] = None
    if given.get("operationName") == "":
        given["operationName"] = None
    return asked(given)


async def body_of_post(content_type: str | None, receive: Receive, max_bytes: int) -> bytes:
    """Read a POST's body. Raises `RequestError`, and `ClientDisconnect` where it ends before its end."""
    if content_type != JSON and not _is_json(content_type or ""):
        raise RequestError(415, f"The content type must be {JSON}, in UTF-8", Accept_Post=JSON)
    message = await receive()
    body = bytearray(message.get("body", b""))
    while message["type"] != "http.disconnect" and message.get("more_body") and len(body) <= max_bytes:
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    if len(body) > max_bytes:
        raise RequestError(413, f"The request's body may have at most {max_bytes:,} bytes")
    return bytes(body)


def _is_json(content_type: str) -> bool:
    kind, *parameters = (piece.strip().lower() for piece in content_type.split(";"))
    charsets = [p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")]
    return kind == JSON and all(charset in ("utf-8", "utf8") for charset in charsets)


def of_post(body: bytes, max_batch: int = 0) -> Asked | list[Asked]:
    """Read what a POST asks for; an array of up to `max_batch` requests is a batch. Raises `RequestError`."""
    given = decoded(body)
    if not isinstance(given, list):
        return asked(given)
    if not max_batch:
        raise RequestError(400, "Batches of operations are not taken")
    if not 1 <= len(given) <= max_batch:
        raise RequestError(400, f"A batch has 1 to {max_batch} operations")
    return [asked(each) for each in given]


def asked(given: Any) -> Asked:
    """Check the members of a request. Raises `RequestError`."""
    if not isinstance(given, dict):
        raise RequestError(400, "The request's JSON must be an object")
    query, variables, name = given.get("query"), given.get("variables"), given.get("operationName")
    if not isinstance(query, str) or not query:
        raise RequestError(400, "The request must have a `query`, which is a string")
    if variables is not None and not isinstance(variables, dict):
        raise RequestError(400, "The GraphQL operation's `variables` must be an object or null")
    if name is not None and not isinstance(name, str):
        raise RequestError(400, "The GraphQL operation's `operationName` must be a string or null")
    extensions = given.get("extensions")
    if extensions is not None and not isinstance(extensions, dict):
        raise RequestError(400, "The GraphQL operation's `extensions` must be an object or null")
    return Asked(query, variables, name)


def decoded(text: str | bytes) -> Any:
    """Decode JSON, and nothing that JSON does not have. Raises `RequestError`."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # the standard library has odder texts and larger numbers, and the last word
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError):
        raise RequestError(400, _NO_JSON) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
"""Made once: `json.loads` makes one each time that it is given a function."""
