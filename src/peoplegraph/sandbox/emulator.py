"""An emulated system over HTTP: its answers, its ledger, and the faults that strike on the way."""

import asyncio
import json
import socket
import struct
from urllib.parse import parse_qsl, unquote

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from peoplegraph.sandbox.faults import Faults, Response
from peoplegraph.sandbox.http import Ledger, RecordedCall, Reply, Request, System

TRANSPORT = "peoplegraph.transport"


class Protocol(HttpToolsProtocol):
    """Uvicorn's connection, which applications can get at, to break it: as an extension in their scope."""

    def on_message_begin(self) -> None:
        """Begin a scope."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


class Emulator:
    """The ASGI application of a system."""

    def __init__(self, system: System, ledger: Ledger, faults: Faults) -> None:
        self._system = system
        self._ledger = ledger
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or do what the faults say that strike it; record it either way."""
        raw_path: str = scope["raw_path"].decode("ascii")
        if not raw_path.startswith(f"{self._system.base}/"):
            await _send(_rendered(Reply(404, {"message": "no such path"})), scope, receive, send)
            return
        below = raw_path.removeprefix(self._system.base)
        query: str = scope["query_string"].decode("ascii")
        target = below + (f"?{query}" if query else "")
        faults = self._faults.striking(self._system.name, f"{scope['method']} {target}")
        unread = any(fault.unread for fault in faults)
        request = Request(
            method=scope["method"],
            target=target,
            segments=tuple(unquote(segment) for segment in below.split("/")[1:]),
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=b"" if unread else await _body(receive),
        )
        carried_out = all(fault.carried_out for fault in faults)
        response = _rendered(self._system.answer(request)) if carried_out else Response(0, {}, b"")
        for fault in faults:
            response = fault.spoil(response)
        self._ledger.calls.append(
            RecordedCall(
                self._system.name,
                request.method,
                request.target,
                request.json(),
                0 if response.reset else response.status,
                request.headers,
            )
        )
        await _send(response, scope, receive, send)


async def _body(receive: Receive) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _rendered(reply: Reply) -> Response:
    if not reply.has_body:
        return Response(reply.status, {}, b"")
    return Response(reply.status, {"Content-Type": "application/json"}, json.dumps(reply.document).encode())


async def _send(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
    try:
        await asyncio.sleep(response.delay_s)
    except asyncio.CancelledError:  # the server ends, and its client is to see that rather than an answer
        transport.abort()
        raise
    if transport.is_closing():
        await _gone(receive)  # or the server says that there was no answer
        return
    if response.reset:
        linger = struct.pack("ii", 1, 0)  # closing sends a RST then
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
        await _gone(receive)
        return
    headers = [(name.encode(), value.encode()) for name, value in response.headers.items()]
    if response.status != 204:
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.truncated:
        half = response.body[: len(response.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        transport.close()
        await _gone(receive)
        return
    body = response.body
    if response.pause_s:
        for index in range(len(body)):
            await send({"type": "http.response.body", "body": body[index : index + 1], "more_body": True})
            await asyncio.sleep(response.pause_s)
        body = b""
    await send({"type": "http.response.body", "body": body})


async def _gone(receive: Receive) -> None:
    """Wait until the server has noticed that the connection is no more."""
    while (await receive())["type"] != "http.disconnect":
        pass
