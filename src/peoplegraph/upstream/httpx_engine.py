"""The `httpx` engine: carries calls through httpx transports, one pool per system.

Entered at the transport, below `httpx.AsyncClient`: no cookie jar, no redirects, no default headers, and a
target that stays as it was encoded. A call in flight is never cancelled, because httpcore's pool does not
survive that: it runs in a task of its own, and only the waiting for it ends early.
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from functools import cache
from types import TracebackType
from typing import Any, Self

import httpx

from peoplegraph.errors import BadResponse, OutcomeUnknown, TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The largest answer that is read."""

CONNECT_TIMEOUT_S = 5.0

CLOSE_GRACE_S = 1.0
"""How long calls under way may take once the engine is closing."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)
"""What httpx raises before it has sent the first byte."""


class HttpxEngine:
    """Carries calls with httpx; `send` is the engine's `Send`.

    `bases` holds each system's URL without a trailing slash, `connections` how many it may have at once.
    `transports` replaces the network in tests.
    """

    def __init__(
        self,
        bases: Mapping[System, str],
        connections: Mapping[System, int],
        transports: Mapping[System, httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        given = transports or {}
        self._bases = {system: httpx.URL(base) for system, base in bases.items()}
        self._transports: dict[System, httpx.AsyncBaseTransport] = {
            system: httpx.AsyncHTTPTransport(
                verify=_tls(),
                limits=httpx.Limits(
                    max_connections=connections[system], max_keepalive_connections=connections[system]
                ),
            )
            for system in bases
            if system not in given
        }
        self._transports.update(given)
        # A slot is waited for here and not in httpcore's pool, where waiting cannot be given up safely.
        self._slots = {system: asyncio.Semaphore(connections[system]) for system in bases}
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
        for transport in self._transports.values():
            await transport.aclose()
        if self._in_flight:
            _, late = await asyncio.wait(self._in_flight, timeout=CLOSE_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def send(self, call: Call) -> Answer:
        """Carry `call` and return its answer.

        A deadline that passes before the first byte is sent ends the call; behind that it ends the waiting,
        and not the call.
        """
        flight = _Flight(call)
        try:
            async with asyncio.timeout_at(call.deadline), self._slots[call.system]:
                task = asyncio.create_task(self._carry(flight))
                self._in_flight.add(task)
                task.add_done_callback(self._landed)
                return await asyncio.shield(task)
        except TimeoutError:
            raise flight.give_up() from None
        except asyncio.CancelledError:
            flight.give_up()
            raise

    def _landed(self, task: asyncio.Task[Answer]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled():
            task.exception()  # one that nobody waits for any more must not be reported as never retrieved

    async def _carry(self, flight: "_Flight") -> Answer:
        call = flight.call
        base = self._bases[call.system]
        remaining = max(call.deadline - asyncio.get_running_loop().time(), 0.001)
        request = httpx.Request(
            call.method,
            base.copy_with(raw_path=base.raw_path.rstrip(b"/") + call.target.encode("ascii")),
            headers={
                "Accept": "application/json",
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
                body = await self._read(flight, response)
            finally:
                await response.aclose()
        except _NOT_SENT as error:
            log.warning("%s: %s", call.system.title, type(error).__name__)
            raise Unavailable(call.system, f"{call.system.title} cannot be reached") from error
        except httpx.TimeoutException as error:
            raise flight.give_up() from error
        except httpx.DecodingError as error:
            raise _broken(call, f"{call.system.title} sent an answer that is broken") from error
        except httpx.TransportError as error:
            log.warning("%s: %s", call.system.title, type(error).__name__)
            message = f"{call.system.title} broke the connection off"
            raise (Unavailable if call.reads else OutcomeUnknown)(call.system, message) from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, body)

    async def _read(self, flight: "_Flight", response: httpx.Response) -> bytes:
        """Read the body, within bounds of size and of time: a dripping upstream never trips httpx's own."""
        call, loop = flight.call, asyncio.get_running_loop()
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise _broken(call, f"{call.system.title} sent more than {MAX_BODY_BYTES:,} bytes")
            if loop.time() > call.deadline:
                raise flight.give_up()
        return bytes(body)


class _Flight:
    """One call on its way: whether its first byte has been sent, and whether it is still wanted."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._sent = False
        self._given_up = False

    async def trace(self, event: str, _: dict[str, Any]) -> None:
        """Hear from httpcore what happens; raises `TimedOut` to keep a call that was given up from being sent."""
        if event.endswith(".send_request_headers.started"):
            if self._given_up:
                raise TimedOut(self.call.system, f"{self.call.system.title} was not called in time")
            self._sent = True

    def give_up(self) -> TimedOut | OutcomeUnknown:
        """Stop waiting, and return what that means: a write that was sent may have taken effect."""
        self._given_up = True
        system = self.call.system
        if self._sent and not self.call.reads:
            return OutcomeUnknown(system, f"{system.title} did not answer in time")
        return TimedOut(system, f"{system.title} did not answer in time")


@cache
def _tls() -> ssl.SSLContext:
    """Return the process's one TLS context: reading the trusted certificates takes 20 ms."""
    return httpx.create_ssl_context()


def _broken(call: Call, message: str) -> BadResponse | OutcomeUnknown:
    return (BadResponse if call.reads else OutcomeUnknown)(call.system, message)
