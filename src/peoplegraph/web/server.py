"""uvicorn's protocol over a transport that gathers what is written: see `peoplegraph.outbox`."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from peoplegraph.outbox import Outbox

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
    """HTTP/1.1, head and body of a response in one write."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin a connection."""
        outbox = _outboxes.setdefault(asyncio.get_running_loop(), Outbox())
        self._gathering = Gathering(transport, outbox)
        super().connection_made(self._gathering)  # type: ignore[arg-type]  # it is one in all that is used

    def eof_received(self) -> None:
        """Answer a client that says no more before the loop closes the connection for it."""
        self._gathering.flush()
