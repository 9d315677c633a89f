"""The `http1` engine: HTTP/1.1 over asyncio and llhttp, one bounded keep-alive pool per system.

A read that is given up or cancelled closes its connection. A write that was sent is never given up: its caller
is told that the outcome is unknown, and the answer is awaited in the background and logged.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import certifi

from peoplegraph.errors import TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.body import Broken
from peoplegraph.upstream.call import CLOSE_GRACE_S, CONNECT_TIMEOUT_S, LATE_WRITE_S, Answer, Call
from peoplegraph.upstream.http1_connection import Connection, Late, Lost
from peoplegraph.upstream.outcome import broken, late, log_late_write, lost

log = logging.getLogger(__name__)

FIRST_BYTE_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 120.0
"""Bounds of the parts of a call; its deadline is above them all."""

IDLE_S = 15.0
"""How long an idle connection is kept; servers commonly close theirs after more."""

FRESH_S = 1.0
"""How long a connection may have been idle to carry what must not be sent twice: a peer may just be closing it."""


class Http1Engine:
    """Carries calls over connections of its own; `send` is the engine's `Send`.

    `bases` holds each system's URL without a trailing slash, `connections` how many it may have at once, `tls`
    the context for https; by default one that trusts what the machine and certifi trust.
    """

    def __init__(
        self,
        bases: Mapping[System, str],
        connections: Mapping[System, int],
        tls: "TlsContext | None" = None,
    ) -> None:
        self._pools = {system: Pool(system, base, connections[system], tls) for system, base in bases.items()}

    def __repr__(self) -> str:
        return f"<Http1Engine {', '.join(map(repr, self._pools.values()))}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + CLOSE_GRACE_S
        while any(pool.is_busy for pool in self._pools.values()) and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for pool in self._pools.values():
            pool.close()
        await asyncio.sleep(0)  # for the transports to end

    async def send(self, call: Call) -> Answer:
        """Carry `call` and return its answer."""
        return await self._pools[call.system].send(call)


class Pool:
    """The connections to one system."""

    def __init__(self, system: System, base: str, size: int, tls: "TlsContext | None") -> None:
        url = urlsplit(base)
        self._system = system
        self._host, self._base = url.hostname or "", url.path.rstrip("/")
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls = (tls or TlsContext.trusting()) if url.scheme == "https" else None
        self._head = f"Host: {url.netloc}\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\n"
        self._size = size
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        waiting = sum(not waiter.done() for waiter in self._waiting)
        return (
            f"<Pool {self._system.name}: {self._busy} of {self._size} busy, "
            f"{len(self._idle)} idle, {waiting} waiting>"
        )

    @property
    def is_busy(self) -> bool:
        """Whether there are calls under way."""
        return self._busy > 0

    async def send(self, call: Call, *, fresh: bool = False) -> Answer:
        """Carry a call over a connection in hand, or over a new one if there is none or `fresh` asks for it."""
        loop = asyncio.get_running_loop()
        if call.deadline <= loop.time():
            raise self._timed_out()
        if self._busy < self._size:
            self._busy += 1
        else:
            await self._slot(call)
        in_hand = None if fresh else self._take(loop.time(), fresh=not call.safe_to_retry)
        connection = in_hand or await self._connect(call)
        waiter: asyncio.Future[Answer] = loop.create_future()
        sent = loop.time()
        connection.begin(
            self._request(call),
            waiter,
            first_byte_by=sent + FIRST_BYTE_TIMEOUT_S,
            until=min(call.deadline, sent + ANSWER_TIMEOUT_S) if call.reads else call.deadline + LATE_WRITE_S,
            head_only=call.method == "HEAD",
        )
        try:
            if not call.reads:
                return await self._written(waiter, call.deadline)
            return await waiter
        except asyncio.CancelledError:
            if call.reads:
                connection.close()
            raise
        except Lost as error:
            if in_hand and not error.started and call.reads:
                return await self.send(call, fresh=True)  # the peer had closed a connection of the pool
            raise lost(call) from None
        except Broken as error:
            raise broken(call, error) from None
        except (Late, TimeoutError):
            raise late(call) from None

    async def _written(self, waiter: "asyncio.Future[Answer]", deadline: float) -> Answer:
        """Wait for the answer to a write; who gives up leaves it to the background."""
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(waiter)
        except (TimeoutError, asyncio.CancelledError):
            waiter.add_done_callback(self._log_late_write)
            raise

    def _log_late_write(self, waiter: "asyncio.Future[Answer]") -> None:
        error = waiter.exception()
        outcome = (
            f"status {waiter.result().status}" if error is None else f"{type(error).__name__}, outcome unknown"
        )
        log_late_write(self._system.title, outcome)

    async def _slot(self, call: Call) -> None:
        """Wait, first come first served, for one of the connections that may be busy at once."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(call.deadline):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._free()  # it was handed over in the very moment
            if isinstance(error, TimeoutError):
                raise self._timed_out() from None
            raise

    def _free(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._busy -= 1

    def _take(self, now: float, *, fresh: bool) -> Connection | None:
        """Take the idle connection that was used last; `fresh` wants one that was used just now."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_closing():
                continue
            if fresh and now - connection.idle_since > FRESH_S:
                self._idle.append(connection)
                return None
            return connection
        return None

    async def _connect(self, call: Call) -> Connection:
        """Open a connection, in the place of an idle one if there are as many as there may be."""
        loop = asyncio.get_running_loop()
        if len(self._open) >= self._size and self._idle:
            self._idle.popleft().close()
        try:
            async with asyncio.timeout_at(min(call.deadline, loop.time() + CONNECT_TIMEOUT_S)):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._ended, self._lost), self._host, self._port, ssl=self._tls
                )
        except OSError as error:
            self._free()
            if loop.time() >= call.deadline:
                raise self._timed_out() from None
            log.warning("%s: %s", self._system.title, type(error).__name__)
            raise Unavailable(self._system, f"{self._system.title} cannot be reached") from error
        except BaseException:
            self._free()
            raise
        self._open.add(connection)
        return connection

    def _ended(self, connection: Connection, keep: bool) -> None:  # noqa: FBT001
        """Take a connection back whose exchange has ended."""
        if keep and not self._closed:
            if self._tls is not None:
                self._tls.sessions[self._host] = connection.tls_session
            loop = asyncio.get_running_loop()
            connection.idle_since = loop.time()
            self._idle.append(connection)
            if self._sweeper is None:
                self._sweeper = loop.call_later(IDLE_S, self._sweep)
        self._free()

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _sweep(self) -> None:
        """Close what has been idle for too long; the oldest stand first."""
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0].idle_since + IDLE_S <= loop.time():
            self._idle.popleft().close()
        self._sweeper = loop.call_at(self._idle[0].idle_since + IDLE_S, self._sweep) if self._idle else None

    def close(self) -> None:
        """Close every connection; what is under way fails."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._open):
            connection.close()

    def _request(self, call: Call) -> bytes:
        head = (
            f"{call.method} {self._base}{call.target} HTTP/1.1\r\n{self._head}"
            f"{call.credential.header}: {call.credential.secret}\r\n"
        )
        for name, value in call.headers.items():
            head += f"{name}: {value}\r\n"
        if call.body is not None:
            return f"{head}Content-Length: {len(call.body)}\r\n\r\n".encode("ascii") + call.body
        if call.method in ("POST", "PUT", "PATCH"):
            head += "Content-Length: 0\r\n"
        return f"{head}\r\n".encode("ascii")

    def _timed_out(self) -> TimedOut:
        return TimedOut(self._system, f"{self._system.title} was not called in time", sent=False)


class TlsContext(ssl.SSLContext):
    """A client's TLS context that resumes, host by host, the last session it had."""

    sessions: dict[str, ssl.SSLSession | None]

    @classmethod
    def trusting(cls, authority: str | None = None) -> Self:
        """Verify peers against the machine's and certifi's authorities, or against the one in a file."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.sessions = {}
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if authority is None:
            context.load_default_certs()
        context.load_verify_locations(authority or certifi.where())
        return context

    def wrap_bio(  # the signature is the standard library's
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection's TLS, resuming the session that the host gave last."""
        if session is None and isinstance(server_hostname, str):
            session = self.sessions.get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
