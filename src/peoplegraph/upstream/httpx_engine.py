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
from typing import Self

import httpx

from peoplegraph.errors import BadResponse, OutcomeUnknown, TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The largest answer that is read."""

CONNECT_TIMEOUT_S = 5.0

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
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
        self._bases = {system: httpx.URL(base) for system, base in bases.items()}
        self._transports: dict[System, httpx.AsyncBaseTransport] = {
            system: httpx.AsyncHTTPTransport(
                verify=_tls(),
                limits=httpx.Limits(
                    max_connections=connections[system], max_keepalive_connections=connections[system]
                ),
            )
            for system in bases
        } | dict(transports or {})
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
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    async def send(self, call: Call) -> Answer:
        """Carry `call` and return its answer; a deadline that passes ends the waiting, not the call."""
        task = asyncio.create_task(self._carry(call))
        self._in_flight.add(task)
        task.add_done_callback(self._landed)
        try:
            async with asyncio.timeout_at(call.deadline):
                return await asyncio.shield(task)
        except TimeoutError:
            raise _gave_up(call, f"{call.system.title} did not answer in time") from None

    def _landed(self, task: asyncio.Task[Answer]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled():
            task.exception()  # one that nobody waits for any more must not be reported as never retrieved

    async def _carry(self, call: Call) -> Answer:
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
                "timeout": {
                    "connect": min(CONNECT_TIMEOUT_S, remaining),
                    "read": remaining,
                    "write": remaining,
                    "pool": remaining,
                }
            },
        )
        try:
            response = await self._transports[call.system].handle_async_request(request)
            try:
                body = await self._read(call, response)
            finally:
                await response.aclose()
        except _NOT_SENT as error:
            log.warning("%s: %s", call.system.title, type(error).__name__)
            raise Unavailable(call.system, f"{call.system.title} cannot be reached") from error
        except httpx.TimeoutException as error:
            raise _gave_up(call, f"{call.system.title} did not answer in time") from error
        except httpx.DecodingError as error:
            raise _broken(call, f"{call.system.title} sent an answer that is broken") from error
        except httpx.TransportError as error:
            log.warning("%s: %s", call.system.title, type(error).__name__)
            message = f"{call.system.title} broke the connection off"
            raise (Unavailable if call.reads else OutcomeUnknown)(call.system, message) from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, body)

    async def _read(self, call: Call, response: httpx.Response) -> bytes:
        """Read the body, within bounds of size and of time: a dripping upstream never trips httpx's own."""
        loop = asyncio.get_running_loop()
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise _broken(call, f"{call.system.title} sent more than {MAX_BODY_BYTES:,} bytes")
            if loop.time() > call.deadline:
                raise _gave_up(call, f"{call.system.title} did not finish its answer in time")
        return bytes(body)


@cache
def _tls() -> ssl.SSLContext:
    """Return the process's one TLS context: reading the trusted certificates takes 20 ms."""
    return httpx.create_ssl_context()


def _gave_up(call: Call, message: str) -> TimedOut | OutcomeUnknown:
    return (TimedOut if call.reads else OutcomeUnknown)(call.system, message)


def _broken(call: Call, message: str) -> BadResponse | OutcomeUnknown:
    return (BadResponse if call.reads else OutcomeUnknown)(call.system, message)
