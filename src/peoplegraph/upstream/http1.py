"""The `http1` engine: HTTP/1.1 over asyncio and llhttp, one bounded keep-alive pool per system.

A read that is given up or cancelled closes its connection. A write that was sent is never given up: its caller
is told that the outcome is unknown, and the answer is awaited in the background and logged.
"""

import asyncio
import ipaddress
import logging
import socket
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection

from peoplegraph.errors import UpstreamError
from peoplegraph.outbox import Outbox
from peoplegraph.systems import System
from peoplegraph.upstream.body import Broken
from peoplegraph.upstream.call import CLOSE_GRACE_S, CONNECT_TIMEOUT_S, LATE_WRITE_S, Answer, Call
from peoplegraph.upstream.http1_connection import Connection, Late, Lost
from peoplegraph.upstream.limit import Limits, Load, Pace, paced, wait_for_turn
from peoplegraph.upstream.outcome import broken, late, log_late_write, lost, not_called, unreachable
from peoplegraph.upstream.tls import TlsContext

log = logging.getLogger(__name__)

FIRST_BYTE_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 120.0
"""Bounds of the parts of a read; its deadline is above them all."""

IDLE_S = 15.0
"""How long an idle connection is kept, where the server does not say that it keeps it for less."""

NEXT_ADDRESS_S = 0.25
"""How long one address of a host is tried before the next one is tried beside it (RFC 8305)."""

FRESH_S = 1.0
"""How long a connection may have been idle to carry what must not be sent twice: a peer may just be closing it."""


class Http1Engine:
    """Carries calls over connections of its own; `send` is the engine's `Send`.

    `bases` holds each system's URL without a trailing slash, `limits` how much it may be called, `tls` the context
    for https; by default one that trusts what the machine and certifi trust.
    """

    def __init__(
        self,
        bases: Mapping[System, str],
        limits: Mapping[System, Limits],
        tls: TlsContext | None = None,
    ) -> None:
        outbox = Outbox()
        self._pools = {system: Pool(system, base, limits[system], tls, outbox) for system, base in bases.items()}

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

    def load(self, system: System) -> Load:
        """Return how many calls to a system are under way, and wait."""
        return self._pools[system].load()

    def resize(self, system: System, limits: Limits) -> None:
        """Set how much a system may be called from now on."""
        self._pools[system].resize(limits)

    def send(self, call: Call) -> Coroutine[Any, Any, Answer]:
        """Carry `call` and return its answer."""
        return self._pools[call.system].send(call)


class Pool:
    """The connections to one system."""

    def __init__(self, system: System, base: str, limits: Limits, tls: TlsContext | None, outbox: Outbox) -> None:
        url = urlsplit(base)
        self._system = system
        self._host, self._base = url.hostname or "", url.path.rstrip("/")
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._literal = _literal(self._host, self._port)
        self._lookup: asyncio.Future[Any] | None = None
        self._tls = (tls or TlsContext.trusting()) if url.scheme == "https" else None
        self._head = f"Host: {url.netloc}\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\n"
        self._outbox = outbox
        self._size = limits.concurrency
        self._pace = paced(None, limits.calls_per_second)
        self._busy = 0
        self._waiting: list[tuple[float, int, float, asyncio.Future[bool]]] = []
        """A heap: since when, a number, the deadline, and who is told."""
        self._tickets = count()
        self._expiry: asyncio.TimerHandle | None = None
        self._expires_at = 0.0
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        load = self.load()
        return (
            f"<Pool {self._system.name}: {load.in_use} of {load.slots} busy, "
            f"{len(self._idle)} idle, {load.waiting} waiting>"
        )

    def load(self) -> Load:
        """Return how many calls are under way, and wait."""
        return Load(self._size, self._busy, sum(not waiter.done() for *_, waiter in self._waiting))

    def resize(self, limits: Limits) -> None:
        """Set how many calls may be under way, and start; what is under way stays."""
        self._size = limits.concurrency
        self._pace = paced(self._pace, limits.calls_per_second)
        while self._busy < self._size and (waiter := self._next()) is not None:
            self._busy += 1
            waiter.set_result(True)

    @property
    def is_busy(self) -> bool:
        """Whether there are calls under way."""
        return self._busy > 0

    async def send(self, call: Call, *, anew: bool = False) -> Answer:
        """Carry a call over a connection in hand, or over a new one if there is none or `anew` asks for it."""
        loop = asyncio.get_running_loop()
        request = self._request(call)
        if call.deadline <= loop.time():
            raise not_called(call)
        if self._busy < self._size:
            self._busy += 1
        else:
            await self._slot(call)
        try:
            in_hand = None if anew else self._take(loop.time(), just_used=not call.safe_to_retry)
            connection = in_hand or await self._connect(call)
            if self._pace is not None:
                connection = await self._in_turn(self._pace, call, connection)
        except BaseException:
            self._free()
            raise
        waiter: asyncio.Future[Answer] = loop.create_future()
        sent = loop.time()
        late_at = min(call.deadline, sent + ANSWER_TIMEOUT_S) if call.reads else call.deadline + LATE_WRITE_S
        connection.begin(
            request,
            waiter,
            first_byte_by=sent + FIRST_BYTE_TIMEOUT_S if call.reads else late_at,
            until=late_at,
            head_only=call.method == "HEAD",
            at_once=not call.reads,
        )
        try:
            if not call.reads:
                return await self._written(waiter, call.deadline)
            return await waiter
        except asyncio.CancelledError:
            if call.reads:
                connection.give_up(waiter)
            raise
        except (Lost, Broken, Late, TimeoutError) as error:
            if isinstance(error, Lost) and in_hand and not error.started and call.reads:
                return await self.send(call, anew=True)  # the peer had closed a connection of the pool
            raise _meaning(call, error) from None

    async def _written(self, waiter: "asyncio.Future[Answer]", deadline: float) -> Answer:
        """Wait for the answer to a write; who gives up leaves it to the background."""
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(waiter)
        except (TimeoutError, asyncio.CancelledError):
            waiter.add_done_callback(self._log_late_write)
            raise

    def _log_late_write(self, waiter: "asyncio.Future[Answer]") -> None:
        log_late_write(self._system.title, waiter.exception() or waiter.result())

    async def _slot(self, call: Call) -> None:
        """Wait for one of the connections that may be busy at once; whose request began first is served first.

        So requests end in the order in which they began, and need not all be half done, and in memory, at once.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        heappush(self._waiting, (call.since, next(self._tickets), call.deadline, waiter))
        if self._expiry is None or call.deadline < self._expires_at:
            self._set_expiry(call.deadline)
        try:
            has_slot = await waiter
        except BaseException:
            if not waiter.cancelled() and waiter.result():
                self._free()  # it was handed over in the very moment
            raise
        if not has_slot:
            raise not_called(call)

    def _free(self) -> None:
        waiter = self._next() if self._busy <= self._size else None
        if waiter is None:
            self._busy -= 1
        else:
            waiter.set_result(True)

    def _next(self) -> "asyncio.Future[bool] | None":
        """Take out who is to be served next, of those that wait."""
        while self._waiting:
            *_, waiter = heappop(self._waiting)
            if not waiter.done():
                return waiter
        return None

    def _set_expiry(self, at: float) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expires_at = at  # a timer of uvloop's does not know, if its time has come
        self._expiry = asyncio.get_running_loop().call_at(at, self._expire)

    def _expire(self) -> None:
        """Tell those whose time is over, and look again when that of the next one is."""
        self._expiry = None
        now = asyncio.get_running_loop().time()
        following = None
        for *_, deadline, waiter in self._waiting:
            if waiter.done():
                continue
            if deadline <= now:
                waiter.set_result(False)
            elif following is None or deadline < following:
                following = deadline
        if following is not None:
            self._set_expiry(following)

    def _take(self, now: float, *, just_used: bool) -> Connection | None:
        """Take the idle connection that was used last; with `just_used` only if that was just now."""
        while self._idle:
            connection = self._idle.pop()
            if now >= connection.good_until or connection.has_unread():
                connection.close()
            elif just_used and now - connection.idle_since > FRESH_S:
                self._idle.append(connection)
                return None
            else:
                return connection
        return None

    async def _connect(self, call: Call) -> Connection:
        """Open a connection, in the place of an idle one if there are as many as there may be."""
        loop = asyncio.get_running_loop()
        while self._idle and self._busy + len(self._idle) > self._size:
            self._idle.popleft().close()
        until = min(call.deadline, loop.time() + CONNECT_TIMEOUT_S)
        try:
            if self._is_closed():
                raise ConnectionAbortedError
            async with asyncio.timeout_at(until):
                addresses = await self._addresses()
                _, connection = await loop.create_connection(
                    lambda: Connection(self._ended, self._lost, self._outbox),
                    sock=await start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, loop=loop),
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
            if self._is_closed() or (self._tls is None and connection.has_unread()):  # TLS may have sent tickets
                connection.close()
                raise ConnectionAbortedError
        except (OSError, UnicodeError) as error:
            if isinstance(error, TimeoutError) and until == call.deadline:
                raise not_called(call, tried=True) from None
            raise unreachable(call, error) from error
        self._open.add(connection)
        return connection

    def _ended(self, connection: Connection, keep: bool) -> None:  # noqa: FBT001
        """Take a connection back whose exchange has ended."""
        if self._tls is not None:
            self._tls.sessions[self._host] = connection.tls_session
        if keep and not self._closed:
            loop = asyncio.get_running_loop()
            connection.idle_since = loop.time()
            connection.good_until = connection.idle_since + min(IDLE_S, connection.kept_for_s)
            self._idle.append(connection)
            if self._sweeper is None:
                self._sweeper = loop.call_later(IDLE_S, self._sweep)
        elif keep:
            connection.close()
        self._free()

    def _is_closed(self) -> bool:
        return self._closed

    async def _in_turn(self, pace: Pace, call: Call, connection: Connection) -> Connection:
        """Wait until a call may start; return the connection for it, another one if this has ended meanwhile."""
        try:
            await wait_for_turn(pace, call)
        except BaseException:
            connection.close()
            raise
        if not connection.has_unread():
            return connection
        connection.close()
        return await self._connect(call)

    async def _addresses(self) -> Sequence[Any]:
        """Look the host up, once for all who ask meanwhile: a lookup that hangs holds a thread others need."""
        if self._literal is not None:
            return self._literal
        if self._lookup is None or self._lookup.done():
            loop = asyncio.get_running_loop()
            self._lookup = asyncio.ensure_future(loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
            self._lookup.add_done_callback(lambda lookup: lookup.cancelled() or lookup.exception())
        return await asyncio.shield(self._lookup)

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
        for timer in (self._sweeper, self._expiry):
            if timer is not None:
                timer.cancel()
        for connection in list(self._open):
            connection.close()

    def _request(self, call: Call) -> bytes:
        head = (
            f"{call.method} {self._base}{call.target} HTTP/1.1\r\n{self._head}"
            f"{call.credential.header}: {call.credential.secret}\r\n"
        )
        for name, value in call.headers.items():
            head += f"{name}: {value}\r\n"
        if head.count("\n") != self._head.count("\n") + 2 + len(call.headers):
            raise ValueError("a line break in a request's head")
        if call.body is not None:
            return f"{head}Content-Length: {len(call.body)}\r\n\r\n".encode("ascii") + call.body
        if call.method in ("POST", "PUT", "PATCH"):
            head += "Content-Length: 0\r\n"
        return f"{head}\r\n".encode("ascii")


def _literal(host: str, port: int) -> Sequence[Any] | None:
    """Return an address as `getaddrinfo` does, or None for a name."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        return None
    return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]


def _meaning(call: Call, error: Exception) -> UpstreamError:
    match error:
        case Lost():
            return lost(call)
        case Broken():
            return broken(call, error)
        case _:
            return late(call)
