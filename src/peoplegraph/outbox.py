"""Writes to sockets, gathered: all that one turn of the loop has to send goes out behind what else it has to do.

uvloop, and asyncio, write at once. But the first write to a peer that sleeps wakes it, which costs five times what
the write costs, and a peer that is quicker than we are sleeps again before the next one. Written in a row, requests
to one system wake it once, and a response's head and body are one packet: 12,000 requests a second instead of 9,000
in `benchmarks/gateway.py`'s workload A.
"""

import asyncio

MAX_BYTES = 64 * 1024
"""What may wait; with more, all is written at once."""


class Outbox:
    """Takes what is to be written, in order, and writes it in the loop's next turn."""

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.WriteTransport, list[bytes]]] = []
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Outbox {self._bytes:,} bytes waiting>"

    def put(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write `data` to a transport, with what was put for it just before."""
        if not data:
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        if self._waiting and self._waiting[-1][0] is transport:
            self._waiting[-1][1].append(data)
        else:
            self._waiting.append((transport, [data]))
        self._bytes += len(data)
        if self._bytes > MAX_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write everything; what is for a transport that is closed by now is dropped."""
        waiting, self._waiting = self._waiting, []
        self._bytes = 0
        for transport, parts in waiting:
            if not transport.is_closing():
                transport.write(parts[0] if len(parts) == 1 else b"".join(parts))
