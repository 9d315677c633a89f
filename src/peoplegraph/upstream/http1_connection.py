"""One HTTP/1.1 connection: writes a request, parses the answer with llhttp, and says whether it can go on.

A connection carries one exchange at a time. Whatever is not exactly an answer to it (bytes behind the end, an
answer that nobody asked for, conflicting lengths) drops the connection, so that no answer reaches another call.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools

from peoplegraph.upstream.body import MAX_BODY_BYTES, TOO_LARGE, Broken, decoded
from peoplegraph.upstream.call import Answer

MAX_HEAD_BYTES = 64 * 1024
"""Status line and headers, those of 1xx answers before it included."""

MAX_RECEIVED_BYTES = MAX_HEAD_BYTES + 4 * MAX_BODY_BYTES
"""Everything, the framing of chunks and trailers included."""


_FRAMING = (b"content-length", b"transfer-encoding")


class Lost(Exception):
    """The connection ended before the answer did; `started` says whether any of it had come."""

    def __init__(self, *, started: bool) -> None:
        super().__init__()
        self.started = started


class Late(Exception):
    """The answer did not come in time."""


class Connection(asyncio.Protocol):
    """A connection of a pool; `ended` is told, once an exchange, whether the connection may carry another."""

    def __init__(self, ended: Callable[["Connection", bool], None], lost: Callable[["Connection"], None]) -> None:
        self._ended = ended
        self._lost = lost
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._waiter: asyncio.Future[Answer] | None = None
        self.idle_since = 0.0

    def __repr__(self) -> str:
        state = "closing" if self.is_closing() else "carrying" if self._waiter else "idle"
        return f"<Connection {state}>"

    def begin(
        self,
        request: bytes,
        waiter: "asyncio.Future[Answer]",
        *,
        first_byte_by: float,
        until: float,
        head_only: bool = False,
    ) -> None:
        """Send a request; its answer, `Lost`, `Broken` or `Late` goes to `waiter`. Times are the loop's."""
        self._waiter = waiter
        self._until = until
        self._timer = self._loop.call_at(min(first_byte_by, until), self._check_time)
        self._head_only = head_only
        self._answer: Answer | None = None
        self._received = 0
        self._in_body = False
        self.started = False
        self._clear()
        self._transport.write(request)

    def close(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether the connection is at its end."""
        return self._transport.is_closing()

    @property
    def tls_session(self) -> Any:
        """What a later connection can resume; None without TLS."""
        ssl_object = self._transport.get_extra_info("ssl_object")
        return ssl_object and ssl_object.session

    def _check_time(self) -> None:
        """End an exchange that has not begun in time, or has not ended."""
        if self.started and self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._check_time)
        else:
            self._end(Late())

    def _clear(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bytes that nobody waits for end the connection."""
        if self._waiter is None:
            self.close()
            return
        self.started = True
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__
            self._end(cause if isinstance(cause, Broken) else Broken("sent an answer that is no HTTP"))
        else:
            if self._answer is not None:
                self._end(None, keep=self._keep)
            elif self._received > (MAX_RECEIVED_BYTES if self._in_body else MAX_HEAD_BYTES):
                self._end(Broken("sent more than is taken"))

    def eof_received(self) -> None:
        """End an answer that ends with its connection; any other is cut."""
        if self._waiter is not None and self._in_body and self._until_eof:
            try:
                self._complete()
            except Broken as error:
                self._end(error)
            else:
                self._end(None)

    def connection_lost(self, _: Exception | None) -> None:
        """End an exchange under way."""
        self._lost(self)
        if self._waiter is not None:
            self._end(Lost(started=self.started))

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        """Begin an answer: the one asked for, or the one behind a 1xx."""
        if self._answer is not None:
            raise Broken("sent more than its answer")
        self._clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are dropped."""
        if not self._in_body:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Learn how the body is framed."""
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._in_body = True
        framing = {name: value for name, value in self._headers if name in _FRAMING}
        self._until_eof = status not in (204, 304) and not framing
        if int(framing.get(b"content-length", 0)) > MAX_BODY_BYTES and status != 304 and not self._head_only:
            raise Broken(TOO_LARGE)
        if self._head_only:
            self._complete()
            self._keep = False  # the parser waits for a body that does not come

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body, within bounds."""
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            raise Broken(TOO_LARGE)
        self._body.append(body)

    def on_message_complete(self) -> None:
        """End an answer, unless it was a 1xx."""
        if self._in_body and self._answer is None:
            self._complete()

    def _complete(self) -> None:
        self._keep = self._parser.should_keep_alive() and not self._until_eof
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers}
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        coding = headers.get("content-encoding")
        if coding and body:
            body = decoded(body, coding)
        self._answer = Answer(self._parser.get_status_code(), headers, body)

    def _end(self, error: Exception | None, *, keep: bool = False) -> None:
        waiter, self._waiter = self._waiter, None
        answer = self._answer
        self._timer.cancel()
        if not keep:
            self.close()
        self._ended(self, keep)
        if waiter is None or waiter.done():
            return
        if error is None and answer is not None:
            waiter.set_result(answer)
        else:
            waiter.set_exception(error or Lost(started=True))
