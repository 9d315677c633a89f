"""The GraphQL endpoint: Strawberry's view, with this gateway's context, errors and manners."""

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from cross_web import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse
from strawberry.http.base import BaseRequestProtocol
from strawberry.types import ExecutionResult

from peoplegraph.context import Context
from peoplegraph.errors import describe, internal_message
from peoplegraph.schema import Schema

log = logging.getLogger(__name__)

MakeContext = Callable[[Request, str], Context]
"""Makes the context of a request with that id."""

_request_id: ContextVar[str] = ContextVar("request_id")
_context: ContextVar[Context | None] = ContextVar("context", default=None)


class Endpoint(GraphQL[Context, None]):
    """`/graphql`: GraphiQL for a browser, JSON for everyone else."""

    def __init__(self, schema: Schema, make_context: MakeContext) -> None:
        super().__init__(schema, subscription_protocols=())
        self._make_context = make_context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever is wrong with it is answered as a GraphQL error."""
        request_id = uuid.uuid4().hex
        _request_id.set(request_id)
        _context.set(None)
        try:
            response = await self.run(Request(scope, receive))
        except HTTPException as error:
            response = self._refuse(error.status_code, "BAD_REQUEST", error.reason, request_id)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("request %s failed", request_id)
            response = self._refuse(500, "INTERNAL", internal_message(request_id), request_id)
        response.headers["X-Request-Id"] = request_id
        await response(scope, receive, send)

    @staticmethod
    def _refuse(status: int, code: str, message: str, request_id: str) -> Response:
        error = {"message": message, "extensions": {"code": code, "requestId": request_id}}
        return Response(json.dumps({"errors": [error]}), status, media_type="application/json")

    async def get_context(
        self,
        request: Request | WebSocket,
        response: Response | WebSocket,  # noqa: ARG002  # the signature is Strawberry's
    ) -> Context:
        """Make the request's context, inside the running loop."""
        assert isinstance(request, Request)  # noqa: S101  # there are no subscriptions
        context = self._make_context(request, _request_id.get())
        _context.set(context)
        return context

    async def process_result(
        self,
        request: Request,  # noqa: ARG002  # the signature is Strawberry's
        result: ExecutionResult,
    ) -> GraphQLHTTPResponse:
        """Shape the answer, with the errors as a caller may read them."""
        answer: GraphQLHTTPResponse = {"data": result.data}
        context = _context.get()
        if context is not None and context.stale:
            answer["extensions"] = {"stale": sorted(system.name for system in context.stale)}
        if result.errors:
            answer["errors"] = [describe(error, _request_id.get()) for error in result.errors]
        return answer

    def should_render_graphql_ide(self, request: BaseRequestProtocol) -> bool:
        """Show GraphiQL to who asks for a page; a client that takes anything gets JSON."""
        return "text/html" in request.headers.get("accept", "") and super().should_render_graphql_ide(request)

    def decode_json(self, data: str | bytes) -> object:
        """Decode a request's JSON: an object or an array of them, and nothing that JSON does not have."""
        try:
            decoded = json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise HTTPException(400, "The request holds JSON that cannot be parsed") from None
        if not isinstance(decoded, dict | list):
            raise HTTPException(400, "The request's JSON must be an object")
        return decoded

    async def parse_http_body(self, request: Any) -> Any:
        """Read the operation, and check what Strawberry's view does not."""
        data = await super().parse_http_body(request)
        if not isinstance(getattr(data, "operation_name", None), str | None):
            raise HTTPException(400, "The GraphQL operation's `operationName` must be a string or null")
        return data


def deadline_s(headers: Mapping[str, str], longest_s: float) -> float:
    """Return the seconds that a request may take: `X-Deadline-Ms`, if it is there and less than `longest_s`."""
    text = headers.get("x-deadline-ms")
    if text is None:
        return longest_s
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise HTTPException(400, "X-Deadline-Ms must be a whole number of milliseconds")
    return min(int(text) / 1000, longest_s)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
