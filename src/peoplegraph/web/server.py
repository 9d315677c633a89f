"""uvicorn's protocol over a transport that gathers what is written: see `peoplegraph.outbox`."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from peoplegraph.observe import metrics
from peoplegraph.outbox import Outbox
from peoplegraph.web.protocol import WHOLE

MAX_HEAD_BYTES = 32 * 1024
"""What a request's line and headers may have, together."""

MAX_HEADERS = 100

MAX_PIPELINED = 16
"""Requests that may wait on one connection for the answer to the one before them."""

MAX_UNSENT_BYTES = 4 * 1024 * 1024
"""What may wait to be sent on a WebSocket whose other end goes on sending."""

MAX_MESSAGE_BYTES = "max_message_bytes"
"""By this name an application's state has what returns how large a WebSocket's messages may be, if that changes."""

_outboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, Outbox] = WeakKeyDictionary()
"""One for all connections of a loop."""


class Gathering:
    """A transport whose writes go through the outbox."""

    __slots__ = ("_outbox", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, outbox: Outbox) -> None:
        self._transport = transport
        self._outbox = outbox
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write in the loop's next turn."""
        self._outbox.put(self._transport, data)

    def flush(self) -> None:
        """Write what waits."""
        self._outbox.flush()

    def close(self) -> None:
        """Write what waits, and close."""
        self.flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """HTTP/1.1, head and body of a response in one write, and a bound to what a request's head may be.

    Whoever offers another protocol than WebSocket, as Java's client does HTTP/2, is answered in this one.
    """

    head_s = 10.0
    """How long a client may take for a request's line and headers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin a connection."""
        outbox = _outboxes.setdefault(asyncio.get_running_loop(), Outbox())
        self._gathering = Gathering(transport, outbox)
        self._head_bytes = self._parsed_bytes = 0
        self._in_head = True
        self._stopped_at = 0
        self._late: asyncio.TimerHandle | None = self.loop.call_later(self.head_s, self._refuse_late)
        super().connection_made(self._gathering)  # type: ignore[arg-type]  # it is one in all that is used

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._no_longer_late()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read of a request's head no more than there may be, and not for longer."""
        in_head = self._in_head
        self._stopped_at = 0
        super().data_received(data)
        if self._stopped_at:
            return self._read_again(data[self._stopped_at :])
        if self._gathering.is_closing():
            return self._no_longer_late()
        if not self._in_head:
            if self._is_answering():
                self._no_longer_late()
            elif self._late is None:  # something came that is no request yet, and ended uvicorn's own timer
                self._late = self.loop.call_later(self.head_s, self._refuse_late)
            return None
        self._head_bytes = self._head_bytes + len(data) if in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            return self._refuse(431)
        if self._late is None:
            self._late = self.loop.call_later(self.head_s, self._refuse_late)
        return None

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True
        self._parsed_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take the line's target, or a part of it."""
        super().on_url(url)
        self._parsed_bytes += len(url)
        if self._parsed_bytes > MAX_HEAD_BYTES:
            self._refuse_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if self._in_head:  # and no trailer, which nobody who looked at the headers has seen
            super().on_header(name, value)
        self._parsed_bytes += len(name) + len(value)
        if self._parsed_bytes > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._refuse_head()

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        if self._declines_upgrade():
            return
        self._in_head = False
        self._head_bytes = 0
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refuse(429)
            raise ValueError("too many requests are waiting")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take note that a body is whole."""
        if not self._declines_upgrade():
            self.scope[WHOLE] = True  # type: ignore[literal-required]  # a key of ours
            super().on_message_complete()

    def _declines_upgrade(self) -> bool:
        """Whether the parser takes what follows the head for another protocol, and it is not."""
        return self.parser.should_upgrade() and self._get_upgrade() is not None and not self._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Take note of where the parser stopped, of which nobody needs to be warned."""
        stopped = sys.exc_info()[1]
        if isinstance(stopped, httptools.HttpParserUpgrade) and self._declines_upgrade():
            self._stopped_at = stopped.args[0]

    def _read_again(self, rest: bytes) -> None:
        """Read a request without its offer of another protocol, and what followed it."""
        lines = [
            b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode()),
            *(b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"),
        ]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._head_bytes = 0
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, unless it is refused already."""
        if not self._gathering.is_closing():
            super().send_400_response(msg)

    def _refuse_head(self) -> None:
        self._refuse(431)
        raise ValueError("the head is too large")

    def _refuse_late(self) -> None:
        self._late = None
        if self._in_head:
            self._refuse(408)
        elif not self._is_answering():
            self._gathering.close()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _no_longer_late(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: int) -> None:
        self._no_longer_late()
        if self._gathering.is_closing():
            return
        metrics.requests("http", status).inc()
        line = STATUS_LINE[status]
        self._gathering.write(line + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self._gathering.close()

    def eof_received(self) -> None:
        """Answer a client that says no more before the loop closes the connection for it."""
        self._gathering.flush()


class SocketProtocol(WebSocketsSansIOProtocol):
    """WebSockets whose other end may neither begin for ever nor have us keep what it does not read."""

    handshake_s = 10.0
    """How long the handshake may take."""

    def __init__(self, config: Config, app_state: dict[str, Any], **options: Any) -> None:
        size: Callable[[], int] | None = app_state.get(MAX_MESSAGE_BYTES)
        if size is not None:
            config.ws_max_size = size()
        super().__init__(config=config, app_state=app_state, **options)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a connection."""
        self._late = self.loop.call_later(self.handshake_s, self._give_up)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._late.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, while what is answered is read."""
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.transport.abort()
            return
        super().data_received(data)

    def _give_up(self) -> None:
        if not self.handshake_complete:
            self.transport.abort()
