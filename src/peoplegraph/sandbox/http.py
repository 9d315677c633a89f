"""The little of HTTP that the emulators need: requests by their raw path, JSON answers, and the ledger."""

import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote

from starlette.types import Receive, Scope, Send

from peoplegraph.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Request:
    """A request; `segments` are those of the raw path below the system's base, each decoded by itself."""

    method: str
    target: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, or None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, and the JSON document that comes with it, if any does."""

    status: int
    document: Any = None
    has_body: bool = True


def empty(status: int) -> Reply:
    """Answer without a body."""
    return Reply(status, has_body=False)


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """What a system received and answered. `target` is the raw path below the base, with its query."""

    system: str
    method: str
    target: str
    body: Any
    status: int
    headers: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


class Ledger:
    """Every call that the systems received, the last 10,000 of them."""

    def __init__(self) -> None:
        self.calls: deque[RecordedCall] = deque(maxlen=10_000)

    def of(self, system: str) -> list[RecordedCall]:
        """Return the calls to one system."""
        return [call for call in self.calls if call.system == system]


class System(ABC):
    """The base of the emulated systems: an ASGI application under `base`."""

    name: ClassVar[str]
    """The gateway's name of the system."""
    base: ClassVar[str]
    """The path that its base URL has."""
    settings: ClassVar[Mapping[str, str]]
    """What a gateway's settings need beside the URL."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self.store = store
        self.ledger = ledger

    @abstractmethod
    def answer(self, request: Request) -> Reply:
        """Answer one request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the request, answer it, record both."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        raw_path: str = scope["raw_path"].decode("ascii")
        query: str = scope["query_string"].decode("ascii")
        if not raw_path.startswith(f"{self.base}/"):
            await _respond(send, Reply(404, {"message": "no such path"}))
            return
        below = raw_path.removeprefix(self.base)
        request = Request(
            method=scope["method"],
            target=below + (f"?{query}" if query else ""),
            segments=tuple(unquote(segment) for segment in below.split("/")[1:]),
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=body,
        )
        reply = self.answer(request)
        self.ledger.calls.append(
            RecordedCall(self.name, request.method, request.target, request.json(), reply.status, request.headers)
        )
        await _respond(send, reply)


async def _respond(send: Send, reply: Reply) -> None:
    body = json.dumps(reply.document).encode() if reply.has_body else b""
    headers = [(b"content-type", b"application/json")] if reply.has_body else []
    if reply.status != 204:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
