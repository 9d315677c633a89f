"""One HTTP/1.1 connection: writes a request, parses the answer with llhttp, and says whether it can go on.

A connection carries one exchange at a time. Whatever is not exactly an answer to it (bytes behind the end, an
answer that nobody asked for, conflicting lengths) drops the connection, so that no answer reaches another call.
"""

import asyncio
import re
import select
from collections.abc import Callable
from typing import Any, cast

import httptools

from peoplegraph.outbox import Outbox
from peoplegraph.upstream.body import MAX_BODY_BYTES, TOO_LARGE, Broken, decoded
from peoplegraph.upstream.call import READ_HEADERS, Answer

MAX_HEAD_BYTES = 64 * 1024
"""Status line and headers, those of 1xx answers before it included."""

MAX_RECEIVED_BYTES = 2 * MAX_BODY_BYTES
"""Everything, the framing of chunks and trailers included."""

KEPT_REQUEST_BYTES = 64 * 1024
"""Behind a longer request a connection is not kept: an early answer may leave some of it unsent."""


_READ = {
    name.encode(): name
    for name in (*READ_HEADERS, "content-encoding", "content-length", "keep-alive", "transfer-encoding")
}

_KEEP_ALIVE = re.compile(r"\btimeout=(\d{1,6})\b")


class Lost(Exception):
    """The connection ended before the answer did; `started` says whether any of it had come."""

    def __init__(self, *, started: bool) -> None:
        super().__init__()
        self.started = started


class Late(Exception):
    """The answer did not come in time."""


class Connection(asyncio.Protocol):
    """A connection of a pool; `ended` is told, once an exchange, whether the connection may carry another."""

    def __init__(
        self,
        ended: Callable[["Connection", bool], None],
        lost: Callable[["Connection"], None],
        outbox: Outbox,
    ) -> None:
        self._ended = ended
        self._lost = lost
        self._outbox = outbox
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._waiter: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        """One for many exchanges: most are over long before their time."""
        self._timer_at = 0.0
        self._is_readable: Callable[[], bool] | None = None
        self.idle_since = 0.0
        self.good_until = 0.0
        self.kept_for_s = float("inf")
        """For how long the server keeps the connection, if it said so."""

    def __repr__(self) -> str:
        state = "closing" if self._transport.is_closing() else "carrying" if self._waiter else "idle"
        return f"<Connection {state}>"

    def begin(  # noqa: PLR0913  # it is an exchange's belongings
        self,
        request: bytes,
        waiter: "asyncio.Future[Answer]",
        *,
        first_byte_by: float,
        until: float,
        head_only: bool = False,
        at_once: bool = False,
    ) -> None:
        """Send a request; its answer, `Lost`, `Broken` or `Late` goes to `waiter`. Times are the loop's.

        `at_once` leaves the peer no turn of the loop to close the connection in: for what may be sent only once.
        """
        self._waiter = waiter
        self._first_byte_by = min(first_byte_by, until)
        self._until = until
        if self._timer is None or self._timer_at > self._first_byte_by:
            self._set_timer(self._first_byte_by)
        self._head_only = head_only
        self._answer: Answer | None = None
        self._received = 0
        self._in_body = False
        self._keep = len(request) <= KEPT_REQUEST_BYTES
        self.started = False
        self._clear()
        if at_once:
            self._transport.write(request)
        else:
            self._outbox.put(self._transport, request)

    def close(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def give_up(self, waiter: "asyncio.Future[Answer]") -> None:
        """End the exchange that `waiter` waits for, unless it has ended and the connection carries another."""
        if self._waiter is waiter:
            self.close()

    def has_unread(self) -> bool:
        """Whether the connection is at its end, or has bytes that nobody has asked for."""
        if self._transport.is_closing():
            return True
        if self._is_readable is None:
            self._is_readable = _readable(self._transport.get_extra_info("socket").fileno())
        return self._is_readable()

    @property
    def tls_session(self) -> Any:
        """What a later connection can resume; None without TLS."""
        ssl_object = self._transport.get_extra_info("ssl_object")
        return ssl_object and ssl_object.session

    def _set_timer(self, at: float) -> None:
        self._stop_timer()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._check_time)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_time(self) -> None:
        """End an exchange that has not begun in time, or has not ended; the timer may be that of one before it."""
        self._timer = None
        if self._waiter is None:
            return
        due = self._until if self.started else self._first_byte_by
        if self._timer_at < due:
            self._set_timer(due)
        else:
            self._end(Late())

    def _clear(self) -> None:
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._body: bytes | bytearray = b""

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
            if self._answer is not None:  # it is whole, and what comes behind it is no part of it
                self._end(None)
                return
            cause = error.__context__
            self._end(cause if isinstance(cause, Broken) else Broken("sent an answer that is no HTTP"))
        else:
            if self._answer is not None:
                self._end(None, keep=self._keep)
            elif self._received > MAX_RECEIVED_BYTES or (not self._in_body and self._received > MAX_HEAD_BYTES):
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
        self._stop_timer()
        self._lost(self)
        if self._waiter is not None:
            self._end(Lost(started=self.started))
        del self._parser  # it holds this in turn

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        """Begin an answer: the one asked for, or the one behind a 1xx."""
        if self._answer is not None:
            raise Broken("sent more than its answer")
        self._clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, within bounds; trailers are dropped."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise Broken("sent more than is taken")
        read = _READ.get(name.lower())
        if read is not None and not self._in_body:
            known = self._headers.get(read)
            text = value.decode("latin-1")
            self._headers[read] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """Learn how the body is framed."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            return
        length = self._headers.pop("content-length", None)
        coding = self._headers.pop("transfer-encoding", None)
        if status < 100 or (coding and (coding.lower() != "chunked" or self._parser.get_http_version() == "1.0")):
            raise Broken("sent an answer that is no HTTP")
        self._in_body = True
        self._until_eof = status not in (204, 304) and length is None and coding is None
        if length is not None and int(length) > MAX_BODY_BYTES and status != 304 and not self._head_only:
            raise Broken(TOO_LARGE)
        if self._head_only:
            self._keep = False  # the parser waits for a body that does not come
            self._complete()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body, within bounds."""
        if len(self._body) + len(body) > MAX_BODY_BYTES:
            raise Broken(TOO_LARGE)
        if not self._body:
            self._body = body  # as most bodies come
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body

    def on_message_complete(self) -> None:
        """End an answer, unless it was a 1xx."""
        if self._in_body and self._answer is None:
            self._complete()

    def _complete(self) -> None:
        self._keep = self._keep and self._parser.should_keep_alive() and not self._until_eof
        body = bytes(self._body)
        coding = self._headers.pop("content-encoding", None)
        if coding and body:
            body = decoded(body, coding)
        keep_alive = self._headers.pop("keep-alive", None)
        timeout = _KEEP_ALIVE.search(keep_alive) if keep_alive else None
        if timeout:
            self.kept_for_s = max(int(timeout[1]) - 1, 0)
        self._answer = Answer(self._parser.get_status_code(), self._headers, body)

    def _end(self, error: Exception | None, *, keep: bool = False) -> None:
        waiter, self._waiter = self._waiter, None
        answer = self._answer
        if not keep:
            self.close()
        self._ended(self, keep)
        if waiter is None or waiter.done():
            return
        if error is None and answer is not None:
            waiter.set_result(answer)
        else:
            waiter.set_exception(error or Lost(started=True))


def _readable(descriptor: int) -> Callable[[], bool]:
    """Return what tells whether there is something to read, or an end, that the loop has not yet come to."""
    if not hasattr(select, "poll"):  # Windows
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(0))
