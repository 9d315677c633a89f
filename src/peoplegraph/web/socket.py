"""GraphQL over WebSockets: the protocol graphql-transport-ws, of the library graphql-ws; never its predecessor.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md has the messages and the codes of closing.
"""

import asyncio
import json
import logging
from collections.abc import Collection
from typing import Any

import structlog
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from peoplegraph.access.caller import KeysUnavailable, Unauthenticated
from peoplegraph.access.gate import Gate
from peoplegraph.access.quotas import Quota, Quotas, TooMany
from peoplegraph.observe import metrics
from peoplegraph.observe.requests import Seen
from peoplegraph.web.asking import Asking, Headers, ReadHeaders, request_id_of
from peoplegraph.web.operations import Operations, dumped, is_query
from peoplegraph.web.protocol import RequestError, asked, decoded
from peoplegraph.web.refusals import Ending, as_request_error, bug, graphql_error

PROTOCOL = "graphql-transport-ws"

MAX_ID_CHARACTERS = 100

MAX_REASON = 120
"""How long the reason of closing may be, which the WebSocket protocol bounds."""

log = logging.getLogger(__name__)


class Closed(Exception):
    """The connection is to be closed, with one of the protocol's codes."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Sockets:
    """`/graphql` over WebSockets, for pages of its own origin and of those allowed, and for who is no page."""

    def __init__(  # noqa: PLR0913  # what it stands on
        self,
        operations: Operations,
        gate: Gate,
        quotas: Quotas,
        read_headers: ReadHeaders,
        *,
        origins: Collection[str] = (),
        most: int = 10,
        most_operations: int = 50,
        init_s: float = 3,
        idle_s: float = 300,
        writing: set[asyncio.Task[Any]] | None = None,
        under_way: set[asyncio.Task[Any]] | None = None,
    ) -> None:
        self.operations = operations
        self.gate = gate
        self.quotas = quotas
        self.most = most
        self.most_operations = most_operations
        self.init_s = init_s
        self.idle_s = idle_s
        self._read_headers = read_headers
        self._origins = frozenset(origins)
        self.writing = writing if writing is not None else set()
        """The operations that are not given up any more, since they may have begun to write."""
        self.under_way = under_way if under_way is not None else set()
        """All operations."""
        self.successor: Sockets | None = None
        """What took its place, with other settings."""
        self.is_ending = False
        self.events: Any = structlog.get_logger().bind()

    def current(self) -> "Sockets":
        """Return what is in its place by now."""
        sockets = self
        while sockets.successor is not None:
            sockets = sockets.successor
        return sockets

    async def quiet(self, within_s: float) -> None:
        """Begin no operation any more, and let those under way come to their end."""
        self.is_ending = True
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=within_s)

    async def finish(self, within_s: float) -> None:
        """Let what writes come to its end, before the way to the systems is closed."""
        if self.writing:
            await asyncio.wait(self.writing, timeout=within_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection until it ends."""
        socket = WebSocket(scope, receive, send)
        if not self._is_welcome(socket):
            log.info("a WebSocket from %s is refused", socket.client.host if socket.client else "nowhere")
            metrics.requests("websocket", 403).inc()
            await socket.close()  # before it is accepted: that is a 403
            return
        await socket.accept(PROTOCOL)
        connection = _Connection(self, socket, self._read_headers(scope))
        try:
            await connection.serve()
        except Closed as closed:
            log.info("a WebSocket is closed: %d %s", closed.code, closed)
            if socket.application_state is WebSocketState.CONNECTED:
                await socket.close(closed.code, str(closed))
        except WebSocketDisconnect:
            return
        finally:
            connection.end()

    def _is_welcome(self, socket: WebSocket) -> bool:
        origin = socket.headers.get("origin")
        host = (origin or "").partition("://")[2]  # its scheme is not ours where TLS ends before us
        return (
            self.most > 0
            and PROTOCOL in socket.scope["subprotocols"]
            and (origin is None or host == socket.headers.get("host") or origin in self._origins)
        )


class _Connection:
    def __init__(self, sockets: Sockets, socket: WebSocket, headers: Headers) -> None:
        self._sockets = sockets
        self._socket = socket
        self._headers = headers
        self._authorization = headers.get("authorization")
        self._address = socket.client.host if socket.client else ""
        self._quota: Quota | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unwanted = 0

    async def serve(self) -> None:
        """Take messages. Raises `Closed` or `WebSocketDisconnect`."""
        try:
            async with asyncio.timeout(self._sockets.init_s):
                await self._init()
        except TimeoutError:
            raise Closed(4408, "Connection initialisation timeout") from None
        while True:
            try:
                async with asyncio.timeout(self._sockets.idle_s):
                    message = await self._message()
            except TimeoutError:
                if self._tasks:
                    continue
                raise Closed(1001, "Idle") from None
            match message.get("type"):
                case "subscribe":
                    self._subscribe(message)
                case "complete":
                    self._forget(message.get("id"))
                case "ping":
                    await self._send(type="pong")
                case "pong":
                    pass
                case "connection_init":
                    raise Closed(4429, "Too many initialisation requests")
                case _:
                    raise _invalid()

    def end(self) -> None:
        """Let go of what is under way, but for what writes."""
        for operation_id in list(self._tasks):
            self._forget(operation_id)
        if self._quota is not None:
            self._quota.sockets -= 1

    async def _init(self) -> None:
        """Await the message that says who asks, and acknowledge it."""
        while (message := await self._message()).get("type") != "connection_init":
            match message.get("type"):
                case "subscribe":
                    raise Closed(4401, "Unauthorized")
                case "ping":
                    await self._send(type="pong")
                case "pong":
                    pass
                case _:
                    raise _invalid()
        payload = message.get("payload") or {}
        if not isinstance(payload, dict):
            raise _invalid()
        given = payload.get("Authorization", payload.get("authorization"))
        if isinstance(given, str):
            self._authorization = given
        quota = (await self._admitted()).quota
        if quota.sockets >= self._sockets.most:
            metrics.limits("sockets").inc()
            raise Closed(4429, "Too many connections")
        quota.sockets += 1
        self._quota = quota
        await self._send(type="connection_ack")

    async def _admitted(self) -> Asking:
        """Say who opens the connection. Raises `Closed`."""
        try:
            return await self._asking(self._seen())
        except Ending:
            raise Closed(1012, "The gateway ends") from None
        except Unauthenticated as error:
            raise Closed(4403, f"Forbidden: {error}"[:MAX_REASON]) from None
        except KeysUnavailable:
            raise Closed(4403, "Forbidden: the keys to check the token with cannot be had for now") from None

    def _seen(self) -> Seen:
        return Seen(request_id_of({}), self._address, "websocket")

    async def _asking(self, seen: Seen) -> Asking:
        """Say who asks, now: a token may be over by then.

        Raises `Unauthenticated`, `KeysUnavailable` or `Ending`.
        """
        self._sockets = self._sockets.current()
        if self._sockets.is_ending:
            raise Ending
        caller = await self._sockets.gate.admit(self._authorization, self._address)
        seen.caller = caller.alias
        quota = self._sockets.quotas.of(caller, self._address, asyncio.get_running_loop().time())
        return Asking(self._headers, caller, quota, seen)

    def _subscribe(self, message: dict[str, Any]) -> None:
        operation_id = message.get("id")
        if not isinstance(operation_id, str) or not 1 <= len(operation_id) <= MAX_ID_CHARACTERS:
            raise _invalid()
        if operation_id in self._tasks:
            raise Closed(4409, "Subscriber for this id already exists")
        if len(self._tasks) + self._unwanted >= self._sockets.most_operations:
            metrics.limits("socket_operations").inc()
            raise Closed(4429, "Too many operations")
        task = asyncio.create_task(self._answer(operation_id, message.get("payload")))
        self._tasks[operation_id] = task
        self._sockets.under_way.add(task)
        task.add_done_callback(self._sockets.under_way.discard)

    def _forget(self, operation_id: Any) -> None:
        """Drop an operation that nobody wants the result of; one that writes goes on."""
        task = self._tasks.pop(operation_id, None) if isinstance(operation_id, str) else None
        if task is not None and task in self._sockets.writing:
            self._unwanted += 1
            task.add_done_callback(self._is_over)
        elif task is not None:
            task.cancel()

    def _is_over(self, _: "asyncio.Task[None]") -> None:
        self._unwanted -= 1

    async def _answer(self, operation_id: str, payload: Any) -> None:
        """Answer one operation; whatever is wrong with it is its own error."""
        seen = self._seen()
        request_id = seen.request_id
        status = 499  # who asked is gone
        quota: Quota | None = None
        try:
            try:
                asking = await self._asking(seen)
                await self._sockets.quotas.begin(asking.quota)
                quota = asking.quota
                is_done, result = await self._result(payload, asking)
                status = 200 if is_done else 400
            except (Ending, RequestError, Unauthenticated, KeysUnavailable, TooMany) as error:
                refused = as_request_error(error)
                status = refused.status
                seen.refused(refused.code, refused.limit)
                is_done, result = False, [graphql_error(refused, request_id)]
            except Exception:
                status = 500
                log.exception("request %s failed", request_id)
                is_done, result = False, [graphql_error(bug(request_id), request_id)]
            await self._tell(operation_id, result, is_done=is_done)
        finally:
            if quota is not None:
                self._sockets.quotas.end(quota)
            seen.over(status, self._sockets.events)

    async def _tell(self, operation_id: str, result: Any, *, is_done: bool) -> None:
        """Send what came of an operation; until that is sent it counts as under way."""
        if self._tasks.get(operation_id) is not asyncio.current_task():
            return  # nobody wants it any more, though there may be another one by this name
        try:
            body = dumped({"id": operation_id, "type": "next" if is_done else "error", "payload": result})
            await self._socket.send_text(body.decode())
            if self._tasks.pop(operation_id, None) is not None and is_done:
                await self._send(id=operation_id, type="complete")
        except WebSocketDisconnect:
            self._tasks.pop(operation_id, None)

    async def _result(self, payload: Any, asking: Asking) -> tuple[bool, Any]:
        """Return whether an operation was executed, and its result or its errors."""
        operations = self._sockets.operations
        what = asked(payload)
        operation, errors = await operations.find(what, asking.caller)
        if operation is None:
            return False, operations.described(errors, asking)
        context = operations.make_context(asking)
        if not is_query(operation):
            self._keep()
        try:
            result, response = await operations.answer(operation, what, asking, context)
        finally:
            context.trail.clear()
        if not result.executed:
            return False, response["errors"]
        return True, response

    def _keep(self) -> None:
        """Let the operation of the running task come to its end, whatever becomes of the connection."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # each operation has one
        self._sockets.writing.add(task)
        task.add_done_callback(self._sockets.writing.discard)

    async def _message(self) -> dict[str, Any]:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1000))
        text = received.get("text")
        try:
            message = decoded(text) if text is not None else None
        except RequestError:
            message = None
        if not isinstance(message, dict):
            raise _invalid()
        return message

    async def _send(self, **message: str) -> None:
        await self._socket.send_text(json.dumps(message))


def _invalid() -> Closed:
    return Closed(4400, "Invalid message")
