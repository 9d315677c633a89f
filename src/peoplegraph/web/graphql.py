"""The GraphQL endpoint: from an ASGI request to the bytes of its answer."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from peoplegraph.access.caller import KeysUnavailable, Unauthenticated
from peoplegraph.access.gate import Gate
from peoplegraph.access.quotas import Quota, Quotas, TooMany
from peoplegraph.engine import Operation, Result
from peoplegraph.observe import metrics
from peoplegraph.observe.requests import Seen
from peoplegraph.web.asking import Asking, Headers, ReadHeaders, request_id_of
from peoplegraph.web.operations import Operations, dumped, is_query, status_of
from peoplegraph.web.protocol import (
    EVENTS,
    GRAPHQL,
    JSON,
    WHOLE,
    Asked,
    RequestError,
    body_of_post,
    check_preflighted,
    media_type,
    of_get,
    of_post,
)
from peoplegraph.web.refusals import Ending, as_request_error, bug, graphql_error
from peoplegraph.web.sharing import Encoded, Key

log = logging.getLogger(__name__)


class Endpoint:
    """`/graphql`: GraphiQL for a browser, JSON for everyone else."""

    def __init__(  # noqa: PLR0913  # what it stands on
        self,
        operations: Operations,
        gate: Gate,
        quotas: Quotas,
        read_headers: ReadHeaders,
        *,
        max_body_bytes: int = 1_000_000,
        max_batch: int = 0,
        longest_s: float = 10,
        graphiql: Callable[[str], ASGIApp] | None = None,
    ) -> None:
        self._operations = operations
        self._gate = gate
        self._quotas = quotas
        self._max_body_bytes = max_body_bytes
        self._max_batch = max_batch
        self._longest_s = longest_s
        self._sharing = operations.sharing
        self._read_headers = read_headers
        self._graphiql = graphiql
        self._events: Any = structlog.get_logger().bind()  # a logger that is not bound is bound for each event

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever is wrong with it is answered as a GraphQL error."""
        headers = self._read_headers(scope)
        request_id = request_id_of(headers)
        accept = headers.get("accept", "")
        address = (scope.get("client") or ("",))[0]
        seen = Seen(request_id, address, "http")
        status = 499  # who asked is gone
        kind = JSON
        quota: Quota | None = None
        try:
            if scope["method"] == "GET" and self._graphiql is not None and _wants_page(accept, scope):
                status = 200
                await self._graphiql(request_id)(scope, receive, send)
                return
            kind = media_type(accept)
            caller = await self._gate.admit(headers.get("authorization"), address)
            seen.caller = caller.alias
            now = asyncio.get_running_loop().time()
            quota = self._quotas.of(caller, address, now)
            asking = Asking(headers, caller, quota, seen)
            await self._quotas.begin(quota)
            try:
                encoded = await self._answer(scope, asking, kind, receive)
                status, body = encoded.status, encoded.body
            finally:
                self._quotas.end(quota)
            if kind == EVENTS:
                body = b"event: next\ndata: " + body + b"\n\nevent: complete\ndata:\n\n"
            await _respond(send, status, body, kind, request_id, _limits(quota))
        except (RequestError, Unauthenticated, KeysUnavailable, TooMany) as error:
            refused = as_request_error(error)
            status = refused.status
            seen.refused(refused.code, refused.limit)
            await _refuse(send, refused, kind, request_id, _limits(quota))
        except ClientDisconnect:
            return
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                # who serves us ends the request; otherwise it is something in it that was cancelled
                status = 503
                await _refuse(send, as_request_error(Ending()), kind, request_id)
                raise
            status = 500
            log.exception("request %s failed", request_id)
            await _refuse(send, bug(request_id), kind, request_id)
        finally:
            seen.over(status, self._events)

    async def _answer(self, scope: Scope, asking: Asking, kind: str, receive: Receive) -> Encoded:
        """Answer what is asked for, together with who asks for the same."""
        method = scope["method"]
        if method == "POST":
            longest_s = None if WHOLE in scope else self._longest_s
            text = await body_of_post(asking.headers.get("content-type"), receive, self._max_body_bytes, longest_s)
        elif method == "GET":
            check_preflighted(asking.headers)
            text = scope["query_string"]
        else:
            raise RequestError(405, "Ask with GET or POST", Allow="GET, POST")
        key = None if self._sharing is None else self._key(method, text, kind, asking)
        if self._sharing is not None and key is not None:
            shared = await self._sharing.join(key)
            if shared is not None:
                asking.seen.joined(shared.seen)
                metrics.SHARED_OPERATIONS.inc()
                return shared
        asked = of_post(text, self._max_batch) if method == "POST" else of_get(text)
        if isinstance(asked, list):
            asking.quota.count(asyncio.get_running_loop().time(), len(asked) - 1)
            batch = [(each, *await self._operations.find(each, asking.caller)) for each in asked]
            reads = all(operation is None or is_query(operation) for _, operation, _ in batch)
            work = self._execute_all(batch, asking, side_by_side=reads)
        else:
            operation, errors = await self._operations.find(asked, asking.caller)
            if operation is None:
                result = Result(None, errors, executed=False)
                body = dumped(self._operations.response(result, asking))
                return Encoded(status_of(result, kind), body, asking.seen)
            reads = is_query(operation)
            if not reads and method != "POST":
                raise RequestError(405, "A GET changes nothing: send mutations with POST", Allow="POST")
            work = self._execute(operation, asked, asking, kind)
        if self._sharing is None:
            return await work
        return await (self._sharing.lead(key, work) if reads and key is not None else work)

    async def _execute(self, operation: Operation, asked: Asked, asking: Asking, kind: str) -> Encoded:
        context = self._operations.make_context(asking)
        try:
            result, response = await self._operations.answer(operation, asked, asking, context)
            return Encoded(status_of(result, kind), dumped(response), asking.seen)
        finally:
            context.trail.clear()

    async def _execute_all(
        self,
        batch: list[tuple[Asked, Operation | None, list[GraphQLError]]],
        asking: Asking,
        *,
        side_by_side: bool,
    ) -> Encoded:
        """Answer a batch, with the same loaders: the calls of its queries are joined, too."""
        context = self._operations.make_context(asking)

        async def one(asked: Asked, operation: Operation | None, errors: list[GraphQLError]) -> bytes:
            if operation is None:
                return dumped(self._operations.response(Result(None, errors, executed=False), asking))
            return dumped((await self._operations.answer(operation, asked, asking, context))[1])

        try:
            if side_by_side:
                bodies = await asyncio.gather(*(one(*each) for each in batch))
            else:
                bodies = [await one(*each) for each in batch]
        finally:
            context.trail.clear()
        return Encoded(200, b"[" + b",".join(bodies) + b"]", asking.seen)

    def _key(self, method: str, text: bytes, kind: str, asking: Asking) -> Key | None:
        """Return what makes two requests the same; None for one with a deadline of its own."""
        if "x-deadline-ms" in asking.headers:
            return None
        return (
            method,
            text,
            kind,
            asking.caller.grants,
            *map(asking.headers.get, self._read_headers.credential_headers),
        )


def deadline_s(headers: Headers, longest_s: float) -> float:
    """Return the seconds that a request may take: `X-Deadline-Ms`, if it is there and less than `longest_s`."""
    text = headers.get("x-deadline-ms")
    if text is None:
        return longest_s
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise RequestError(400, "X-Deadline-Ms must be a whole number of milliseconds")
    return min(int(text) / 1000, longest_s)


_CONTENT_TYPES = {kind: f"{kind}; charset=utf-8".encode() for kind in (JSON, GRAPHQL, EVENTS)}


def _wants_page(accept: str, scope: Scope) -> bool:
    """Whether a browser asks for GraphiQL; a client that takes anything, or sends a query, gets JSON."""
    return "text/html" in accept and "query" not in Request(scope).query_params


def _limits(quota: Quota | None) -> Mapping[str, str]:
    return quota.headers(asyncio.get_running_loop().time()) if quota is not None and quota.has_rates else {}


async def _refuse(
    send: Send, error: RequestError, kind: str, request_id: str, limits: Mapping[str, str] | None = None
) -> None:
    body = dumped({"errors": [graphql_error(error, request_id)]})
    await _respond(
        send, error.status, body, JSON if kind == EVENTS else kind, request_id, {**(limits or {}), **error.headers}
    )


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
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]
    if headers:
        head += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
