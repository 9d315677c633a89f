"""GraphQL over HTTP: what a request asks for, and in which form it wants the answer.

Follows the GraphQL-over-HTTP specification (working draft), for POST and GET.
"""

import asyncio
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from peoplegraph.access.documents import Wanted

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"

EVENTS = "text/event-stream"
"""What the library graphql-sse asks for, in its mode of one connection for each operation."""

_NO_JSON = "The request holds JSON that cannot be parsed"


class RequestError(Exception):
    """What is asked is no GraphQL request, or is not answered; the message goes to the caller."""

    def __init__(
        self, status: int, message: str, *, code: str = "BAD_REQUEST", limit: str | None = None, **headers: str
    ) -> None:
        super().__init__(message)
        self.limit = limit
        """The limit that the request passes, if that is what is wrong with it."""
        self.status = status
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Asked(msgspec.Struct, frozen=True):
    """A GraphQL request."""

    document: Wanted
    variables: dict[str, Any] | None
    operation_name: str | None
    explain: bool | Literal["only"] = False
    """Whether the answer is to tell which calls were made for it; with `only` none are made."""


@lru_cache(maxsize=100)
def media_type(accept: str) -> str:
    """Return the media type that a client prefers, JSON if it does not say. Raises `RequestError`.

    Events are for who wants nothing else as much: urql takes them as well as JSON, and breaks off at their end.
    """
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
    if weights.get(EVENTS, 0.0) > max((weight for kind, weight in weights.items() if kind != EVENTS), default=0.0):
        return EVENTS
    anything = weights.get("*/*", 0.0)
    best = [(weights.get(kind, weights.get("application/*", anything)), kind) for kind in (JSON, GRAPHQL)]
    explicit = [(weight, kind) for weight, kind in best if kind in weights and weight > 0]
    weight, kind = max(explicit or best, key=lambda each: (each[0], each[1] == GRAPHQL and bool(explicit)))
    if weight <= 0:
        raise RequestError(406, f"The answer can be {GRAPHQL}, {JSON} or {EVENTS}")
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


WHOLE = "peoplegraph.whole"
"""What a scope has once the request's body is there; who serves us without it has a timer started for each body."""


async def body_of_post(
    content_type: str | None, receive: Receive, max_bytes: int, longest_s: float | None = 10
) -> bytes:
    """Read a POST's body, in so many seconds; None is for one that is there.

    Raises `RequestError`, and `ClientDisconnect` where it ends before its end.
    """
    if content_type != JSON and not _is_json(content_type or ""):
        # a page of anybody's can make a browser send these without asking first: CSRF
        status = 400 if (content_type or "").split(";")[0].strip().lower() in _SIMPLE else 415
        raise RequestError(status, f"The content type must be {JSON}, in UTF-8", Accept_Post=JSON)
    if longest_s is None:
        return await _body(receive, max_bytes)
    try:
        async with asyncio.timeout(longest_s):  # the first piece, too: a client may send a head, and nothing else
            return await _body(receive, max_bytes)
    except TimeoutError:
        raise RequestError(408, "The request's body did not come in time", Connection="close") from None


async def _body(receive: Receive, max_bytes: int) -> bytes:
    body = bytearray()
    more = True
    while more and len(body) <= max_bytes:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    if len(body) > max_bytes:
        raise RequestError(413, f"The request's body may have at most {max_bytes:,} bytes", limit="body")
    return bytes(body)


_SIMPLE = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""The content types that the Fetch standard lets a page send to another origin without a preflight."""

PREFLIGHTED = (
    "x-apollo-operation-name",
    "apollo-require-preflight",
    "graphql-require-preflight",
    "x-requested-with",
)
"""Headers of which one must be with a GET: a page of another origin cannot send them without a preflight."""


def check_preflighted(headers: Mapping[str, str]) -> None:
    """Refuse a GET that any page might have made a browser send. Raises `RequestError`."""
    if not any(headers.get(name) for name in PREFLIGHTED):
        raise RequestError(400, f"A GET must have one of the headers {', '.join(PREFLIGHTED)}, not empty")


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
        raise RequestError(400, f"A batch has 1 to {max_batch} operations", limit="batch")
    return [asked(each) for each in given]


def asked(given: Any) -> Asked:
    """Check the members of a request. Raises `RequestError`."""
    if not isinstance(given, dict):
        raise RequestError(400, "The request's JSON must be an object")
    variables, name = given.get("variables"), given.get("operationName")
    document = _wanted(given)
    if variables is not None and not isinstance(variables, dict):
        raise RequestError(400, "The GraphQL operation's `variables` must be an object or null")
    if variables and not _is_small(variables):
        raise RequestError(
            413, f"The operation's `variables` may have at most {MAX_VARIABLES:,} values", limit="variables"
        )
    if name is not None and not isinstance(name, str):
        raise RequestError(400, "The GraphQL operation's `operationName` must be a string or null")
    return Asked(document, variables, name, "extensions" in given and _explain(given["extensions"]))


def _explain(extensions: Any) -> bool | Literal["only"]:
    explain = extensions.get("explain", False) if isinstance(extensions, dict) else False
    if explain is None or explain is False or explain is True or explain == "only":
        return explain or False
    raise RequestError(400, '`extensions.explain` must be true, false or "only"')


def _wanted(given: dict[str, Any]) -> Wanted:
    """Read which document is meant: by its text, an id as Relay and graphql-codegen send it, or Apollo's hash."""
    text = given.get("query")
    if text.__class__ is str and text and "extensions" not in given and _ID_NAMES.isdisjoint(given):
        return Wanted(text, None, None)
    if text is not None and not isinstance(text, str):
        raise RequestError(400, "The request's `query` must be a string")
    extensions = given.get("extensions")
    if extensions is not None and not isinstance(extensions, dict):
        raise RequestError(400, "The GraphQL operation's `extensions` must be an object or null")
    persisted = (extensions or {}).get("persistedQuery")
    hashed = None
    if persisted is not None:
        hashed = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
        if not isinstance(hashed, str) or not hashed or persisted.get("version") != 1:
            raise RequestError(400, "`extensions.persistedQuery` must have `version` 1 and a `sha256Hash`")
    names = [given[name] for name in _ID_NAMES if given.get(name) is not None]
    if any(not isinstance(name, str) or not name for name in names) or len(names) > 1:
        raise RequestError(400, "The request's `documentId` must be a string")
    document_id = names[0] if names else None
    if not text and hashed is None and document_id is None:
        raise RequestError(400, "The request must have a `query`, which is a string")
    return Wanted(text or None, document_id, hashed)


MAX_VARIABLES = 20_000
"""How many values the variables of an operation may have, lists and objects entered."""


def _is_small(variables: dict[str, Any]) -> bool:
    left = MAX_VARIABLES
    waiting: list[Any] = [variables]
    while waiting and left >= 0:
        outer = waiting.pop()
        left -= len(outer)
        waiting += [
            inner
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if inner.__class__ in (dict, list)
        ]
    return left >= 0


_ID_NAMES = frozenset(("documentId", "doc_id", "id"))
"""What the id of a trusted document is called: by the specification's draft, and by Relay's documentation."""


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
