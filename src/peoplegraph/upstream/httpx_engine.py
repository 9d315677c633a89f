"""The `httpx` engine: carries calls through httpx transports, one pool per system.

Entered at the transport, below `httpx.AsyncClient`: no cookie jar, no redirects, no default headers, and a
target that stays as it was encoded. A call in flight is never cancelled, because httpcore's pool does not
survive that: it runs in a task of its own, and only the waiting for it ends early. An upstream that drips its
headers can so hold a connection beyond the deadline, which the `http1` engine does not let it.
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import cache, partial
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

import httpx

from peoplegraph.errors import UpstreamError
from peoplegraph.systems import System
from peoplegraph.upstream.body import MAX_BODY_BYTES, TOO_LARGE, Broken, decoded
from peoplegraph.upstream.call import CLOSE_GRACE_S, CONNECT_TIMEOUT_S, LATE_WRITE_S, READ_HEADERS, Answer, Call
from peoplegraph.upstream.limit import Limits, Load, Slots, paced, wait_for_turn
from peoplegraph.upstream.outcome import broken, late, log_late_write, lost, not_called, unreachable
from peoplegraph.upstream.tls import TlsContext

log = logging.getLogger(__name__)

_CUT = ("Server disconnected", "peer closed connection", "ConnectionTerminated", "StreamReset")
"""What h11 and h2 say of an answer that is cut; the rest of what they say is of one that is malformed."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""What httpx raises before it has sent the first byte."""

HTTP2 = find_spec("h2") is not None
"""Whether HTTP/2 is offered to servers: with the extra `http2`."""


class HttpxEngine:
    """Carries calls with httpx; `send` is the engine's `Send`.

    `bases` holds each system's URL without a trailing slash, `limits` how much it may be called.
    `transports` replaces the network in tests, `proxies` are the URLs of those that lead to a system.
    """

    def __init__(
        self,
        bases: Mapping[System, str],
        limits: Mapping[System, Limits],
        transports: Mapping[System, httpx.AsyncBaseTransport] | None = None,
        proxies: Mapping[System, str] | None = None,
    ) -> None:
        given = self._handed_in = dict(transports or {})
        self._bases = {system: httpx.URL(base) for system, base in bases.items()}
        self._transports: dict[System, httpx.AsyncBaseTransport] = {
            system: httpx.AsyncHTTPTransport(
                verify=_tls(),
                http2=HTTP2,
                proxy=(proxies or {}).get(system),
                limits=httpx.Limits(
                    max_connections=limits[system].concurrency,
                    max_keepalive_connections=limits[system].concurrency,
                ),
            )
            for system in bases
            if system not in given
        }
        self._transports.update(given)
        # A slot is waited for here and not in httpcore's pool, where waiting cannot be given up safely.
        self._slots = {system: Slots(limits[system].concurrency) for system in bases}
        self._paces = {system: paced(None, limits[system].calls_per_second) for system in bases}
        self._in_flight: set[asyncio.Task[Answer]] = set()

    def __repr__(self) -> str:
        return f"<HttpxEngine {', '.join(s.name for s in self._bases)}: {len(self._in_flight)} in flight>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=CLOSE_GRACE_S)
        for transport in self._transports.values():
            await transport.aclose()
        for task in self._in_flight:
            task.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    async def send(self, call: Call) -> Answer:
        """Carry `call` and return its answer.

        A deadline that passes before the first byte is sent ends the call; behind that it ends the waiting,
        and not the call.
        """
        flight = _Flight(call, traced=call.system not in self._handed_in)
        try:
            async with asyncio.timeout_at(call.deadline):
                await self._turn(call)
                task = asyncio.create_task(self._carry(flight))
                self._in_flight.add(task)
                task.add_done_callback(partial(self._landed, flight))
                return await asyncio.shield(task)
        except TimeoutError:
            raise flight.give_up() from None
        except asyncio.CancelledError:
            flight.give_up()
            raise

    async def _turn(self, call: Call) -> None:
        """Wait for a slot, which is given back when the call lands, waited for or not, and then for the pace."""
        slots = self._slots[call.system]
        await slots.acquire()
        pace = self._paces.get(call.system)
        if pace is not None:
            try:
                await wait_for_turn(pace, call)
            except BaseException:
                slots.release()
                raise

    def resize(self, system: System, limits: Limits) -> None:
        """Set how much a system may be called from now on; what is under way stays."""
        self._slots[system].resize(limits.concurrency)
        self._paces[system] = paced(self._paces[system], limits.calls_per_second)

    def load(self, system: System) -> Load:
        """Return how many calls to a system are under way, and wait."""
        return self._slots[system].load()

    def _landed(self, flight: "_Flight", task: asyncio.Task[Answer]) -> None:
        self._in_flight.discard(task)
        self._slots[flight.call.system].release()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()  # retrieved, if nobody waits
        if flight.is_given_up and flight.is_sent and not flight.call.reads:
            log_late_write(flight.call.system.title, error or task.result())

    async def _carry(self, flight: "_Flight") -> Answer:
        call = flight.call
        flight.is_begun = True
        base = self._bases[call.system]
        remaining = max(flight.until - asyncio.get_running_loop().time(), 0.001)
        request = httpx.Request(
            call.method,
            base.copy_with(raw_path=base.raw_path.rstrip(b"/") + call.target.encode("ascii")),
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
                call.credential.header: call.credential.secret,
                **call.headers,
            },
            content=call.body,
            extensions={
                "trace": flight.trace,
                "timeout": {
                    "connect": min(CONNECT_TIMEOUT_S, remaining),
                    "read": remaining,
                    "write": remaining,
                    "pool": remaining,
                },
            },
        )
        try:
            response = await self._transports[call.system].handle_async_request(request)
            try:
                if {"content-length", "transfer-encoding"} <= response.headers.keys():
                    raise Broken("sent an answer that is no HTTP")
                body = await self._read(flight, response)
                await _end_if_there_is_more(response)
            finally:
                await response.aclose()
        except _NOT_SENT as error:
            raise unreachable(call, error) from error
        except httpx.TimeoutException as error:
            raise flight.give_up() from error
        except Broken as error:
            raise broken(call, error) from error
        except httpx.TransportError as error:
            if not flight.is_sent:
                raise unreachable(call, error) from error
            if isinstance(error, httpx.RemoteProtocolError) and not any(words in str(error) for words in _CUT):
                raise broken(call, "sent an answer that is no HTTP") from error
            log.warning("%s: %s", call.system.title, type(error).__name__)
            raise lost(call) from error
        headers = {name: response.headers[name] for name in READ_HEADERS if name in response.headers}
        return Answer(response.status_code, headers, body)

    async def _read(self, flight: "_Flight", response: httpx.Response) -> bytes:
        """Read the body, within bounds of size and of time: a dripping upstream never trips httpx's own."""
        if response.is_stream_consumed:  # a handed-in transport had it whole
            return response.content
        loop = asyncio.get_running_loop()
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise Broken(TOO_LARGE)
            if loop.time() > flight.until:
                raise flight.give_up()
        coding = response.headers.get("content-encoding")
        return decoded(bytes(body), coding) if coding and body else bytes(body)


class _Flight:
    """One call on its way: whether its first byte has been sent, and whether it is still wanted."""

    def __init__(self, call: Call, *, traced: bool) -> None:
        self.call = call
        self.until = call.deadline if call.reads else call.deadline + LATE_WRITE_S
        self.is_begun = False
        self.is_sent = not traced  # a transport that tells nothing may have sent it
        self.is_given_up = False

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Hear from httpcore what happens; raises `TimedOut` to keep a call that was given up from being sent."""
        if event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            if self.is_given_up:
                raise not_called(self.call)
            self.is_sent = True

    def give_up(self) -> UpstreamError:
        """Stop waiting, and return what that means: a write that was sent may have taken effect."""
        self.is_given_up = True
        if self.is_sent:
            return late(self.call)
        return not_called(self.call, tried=self.is_begun)


async def _end_if_there_is_more(response: httpx.Response) -> None:
    """Close the connection of an answer that has bytes behind its end: httpcore would take them for the next one.

    It does not say which connection that is but by attributes of its own; over HTTP/2 there are none of these.
    """
    connection: Any = response.stream
    for attribute in ("_httpcore_stream", "_stream", "_connection"):
        connection = getattr(connection, attribute, None)
    state = getattr(connection, "_h11_state", None)
    if state is not None and state.trailing_data[0]:
        await connection.aclose()


@cache
def _tls() -> TlsContext:
    """Return the process's one TLS context: reading the trusted certificates takes 20 ms."""
    return TlsContext.trusting()
