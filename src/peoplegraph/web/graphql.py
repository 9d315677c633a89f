"""The GraphQL endpoint: from an ASGI request to the bytes of its answer."""

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from random import getrandbits
from typing import Any

import orjson
import strawberry
from graphql import GraphQLError, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send
from strawberry.asgi import GraphQL

from peoplegraph.context import Context
from peoplegraph.engine import Engine, Operation, Result
from peoplegraph.errors import describe, internal_message
from peoplegraph.systems import System
from peoplegraph.web.protocol import GRAPHQL, JSON, Asked, RequestError, body_of_post, media_type, of_get, of_post
from peoplegraph.web.sharing import Encoded, Key, Sharing

log = logging.getLogger(__name__)

Headers = Mapping[str, str]
"""Of a request's headers those that the gateway reads, by their names in lower case."""

MakeContext = Callable[[Headers, str], Context]
"""Makes the context of a request with these headers and that id."""


class Endpoint:
    """`/graphql`: GraphiQL for a browser, JSON for everyone else."""

    def __init__(  # noqa: PLR0913  # what it stands on
        self,
        schema: strawberry.Schema,
        engine: Engine,
        make_context: MakeContext,
        *,
        max_body_bytes: int = 1_000_000,
        max_batch: int = 0,
        sharing: Sharing | None = None,
        credential_headers: Iterable[str] = (),
    ) -> None:
        self._engine = engine
        self._make_context = make_context
        self._max_body_bytes = max_body_bytes
        self._max_batch = max_batch
        self._sharing = sharing
        self._credential_headers = [name.lower() for name in credential_headers]
        read = ("accept", "content-type", "x-deadline-ms", *self._credential_headers)
        self._read = {name.encode(): name for name in read}
        self._page: GraphQL[Context, None] = GraphQL(schema, subscription_protocols=())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever is wrong with it is answered as a GraphQL error."""
        request_id = f"{getrandbits(128):032x}"
        headers = self._headers(scope)
        accept = headers.get("accept", "")
        kind = JSON
        try:
            if scope["method"] == "GET" and _wants_page(accept, scope):
                response = await self._page.render_graphql_ide(Request(scope))
                response.headers["X-Request-Id"] = request_id
                await response(scope, receive, send)
                return
            kind = media_type(accept)
            status, body = await self._answer(scope, headers, request_id, kind, receive)
            await _respond(send, status, body, kind, request_id)
        except RequestError as error:
            refused = _refusal("BAD_REQUEST", str(error), request_id)
            await _respond(send, error.status, refused, kind, request_id, error.headers)
        except ClientDisconnect:
            return
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                raise  # who serves us ends the request; otherwise it is something in it that was cancelled
            log.exception("request %s failed", request_id)
            failed = _refusal("INTERNAL", internal_message(request_id), request_id)
            await _respond(send, 500, failed, kind, request_id)

    async def _answer(
        self, scope: Scope, headers: Headers, request_id: str, kind: str, receive: Receive
    ) -> Encoded:
        """Answer what is asked for, together with who asks for the same."""
        method = scope["method"]
        if method == "POST":
            text = await body_of_post(headers.get("content-type"), receive, self._max_body_bytes)
        elif method == "GET":
            text = scope["query_string"]
        else:
            raise RequestError(405, "Ask with GET or POST", Allow="GET, POST")
        key = None if self._sharing is None else self._key(method, text, kind, headers)
        if self._sharing is not None and key is not None:
            shared = await self._sharing.join(key)
            if shared is not None:
                return shared
        asked = of_post(text, self._max_batch) if method == "POST" else of_get(text)
        if isinstance(asked, list):
            batch = [(each, *self._operation(each)) for each in asked]
            is_query = all(operation is None or _is_query(operation) for _, operation, _ in batch)
            work = self._execute_all(batch, headers, request_id, side_by_side=is_query)
        else:
            operation, errors = self._operation(asked)
            if operation is None:
                return _encoded(Result(None, errors, executed=False), request_id, kind, ())
            is_query = _is_query(operation)
            if not is_query and method != "POST":
                raise RequestError(405, "A GET changes nothing: send mutations with POST", Allow="POST")
            work = self._execute(operation, asked, headers, request_id, kind)
        if self._sharing is None:
            return await work
        if is_query:
            return await (work if key is None else self._sharing.lead(key, work))
        try:
            return await work
        finally:
            self._sharing.detach()

    async def _execute(
        self, operation: Operation, asked: Asked, headers: Headers, request_id: str, kind: str
    ) -> Encoded:
        context = self._make_context(headers, request_id)
        result = await self._engine.run(operation, asked.variables, context)
        return _encoded(result, request_id, kind, context.stale)

    async def _execute_all(
        self,
        batch: list[tuple[Asked, Operation | None, list[GraphQLError]]],
        headers: Headers,
        request_id: str,
        *,
        side_by_side: bool,
    ) -> Encoded:
        """Answer a batch, with the same loaders: the calls of its queries are joined, too."""
        context = self._make_context(headers, request_id)

        async def one(asked: Asked, operation: Operation | None, errors: list[GraphQLError]) -> Result:
            if operation is None:
                return Result(None, errors, executed=False)
            return await self._engine.run(operation, asked.variables, context)

        if side_by_side:
            results = await asyncio.gather(*(one(*each) for each in batch))
        else:
            results = [await one(*each) for each in batch]
        bodies = [_encoded(result, request_id, JSON, context.stale)[1] for result in results]
        return 200, b"[" + b",".join(bodies) + b"]"

    def _headers(self, scope: Scope) -> Headers:
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name = self._read.get(raw_name)
            if name is not None:
                value = raw_value.decode("latin-1")
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    def _key(self, method: str, text: bytes, kind: str, headers: Headers) -> Key | None:
        """Return what makes two requests the same; None for one with a deadline of its own."""
        if "x-deadline-ms" in headers:
            return None
        return (method, text, kind, *map(headers.get, self._credential_headers))

    def _operation(self, asked: Asked) -> tuple[Operation | None, list[GraphQLError]]:
        document = self._engine.documents.get(asked.query)
        if document.errors:
            return None, document.errors
        try:
            return document.operation(asked.operation_name), []
        except GraphQLError as error:
            return None, [error]


def deadline_s(headers: Headers, longest_s: float) -> float:
    """Return the seconds that a request may take: `X-Deadline-Ms`, if it is there and less than `longest_s`."""
    text = headers.get("x-deadline-ms")
    if text is None:
        return longest_s
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise RequestError(400, "X-Deadline-Ms must be a whole number of milliseconds")
    return min(int(text) / 1000, longest_s)


_CONTENT_TYPES = {kind: f"{kind}; charset=utf-8".encode() for kind in (JSON, GRAPHQL)}


def _is_query(operation: Operation) -> bool:
    return operation.definition.operation is OperationType.QUERY


def _wants_page(accept: str, scope: Scope) -> bool:
    """Whether a browser asks for GraphiQL; a client that takes anything, or sends a query, gets JSON."""
    return "text/html" in accept and "query" not in Request(scope).query_params


def _encoded(result: Result, request_id: str, kind: str, stale: Collection[System]) -> Encoded:
    """Return the status and the bytes of a result, with the errors as a caller may read them."""
    answer: dict[str, Any] = {}
    if result.executed:
        answer["data"] = result.data
    if result.errors:
        answer["errors"] = [describe(error, request_id) for error in result.errors]
    if stale:
        answer["extensions"] = {"stale": sorted(system.name for system in stale)}
    return 200 if result.executed or kind == JSON else 400, _dumped(answer)


def _refusal(code: str, message: str, request_id: str) -> bytes:
    return _dumped({"errors": [{"message": message, "extensions": {"code": code, "requestId": request_id}}]})


def _dumped(answer: dict[str, Any]) -> bytes:
    """Encode an answer; the standard library has larger numbers and odder texts than orjson."""
    try:
        return orjson.dumps(answer)
    except TypeError:
        return json.dumps(answer, allow_nan=False, separators=(",", ":")).encode()


async def _respond(  # noqa: PLR0913, PLR0917  # what an HTTP response is made of
    send: Send,
    status: int,
    body: bytes,
    kind: str,
    request_id: str,
    headers: Mapping[str, str] | None = None,
) -> None:
    head = [
        (b"content-type", _CONTENT_TYPES[kind]),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        (b"vary", b"Accept"),
    ]
    if headers:
        head += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
