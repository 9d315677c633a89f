"""The upstream with latency: each answer after so many milliseconds. python slow.py PORT MILLISECONDS [RECORDS].

It has as many representatives as RECORDS says, takes a PATCH of them, and tells at /status what it was asked.
"""

import asyncio
import json
import re
import sys
import time

import uvloop
from workloads import answers

COLLECTIONS = b"/representatives/"


class Upstream:
    """What it answers, by path, and what it was asked."""

    def __init__(self, records: int | None) -> None:
        self._responses = {path.encode(): answer.encode() for path, answer in answers(records).items()}
        self._served = self._at_once = self._most = 0

    def begin(self, method: bytes, path: bytes, body: bytes) -> bytes:
        """Return the answer to a call that now begins; a PATCH has its effect at once."""
        self._served += 1
        self._at_once += path.startswith(COLLECTIONS)
        self._most = max(self._most, self._at_once)
        answer = self._responses.get(path, b"null")
        if method == b"PATCH" and answer != b"null":
            record = json.loads(answer) | json.loads(body)
            self._responses[path] = json.dumps(record).encode()
            answer = json.dumps({k: v for k, v in record.items() if k not in ("accounts", "documents")}).encode()
        return answer

    def end(self, path: bytes) -> None:
        """Take note that a call is answered."""
        self._at_once -= path.startswith(COLLECTIONS)

    def status(self) -> bytes:
        """Return how many calls there were, the most to Collections at once since the last time, and its CPU."""
        told = {"served": self._served, "most_at_once": self._most, "cpu_s": time.process_time()}
        self._most = self._at_once
        return json.dumps(told).encode()


class Slow(asyncio.Protocol):
    """One connection; it answers one request after the other."""

    def __init__(self, upstream: Upstream, seconds: float) -> None:
        self._upstream = upstream
        self._seconds = seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            method, path = head.split(b" ", 2)[:2]
            length = 0 if method == b"GET" else int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])  # type: ignore[index]
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            if path == b"/status":
                self._write(self._upstream.status())
                continue
            answer = self._upstream.begin(method, path.split(b"?")[0], body)
            asyncio.get_running_loop().call_later(self._seconds, self._end, path, answer)

    def _end(self, path: bytes, answer: bytes) -> None:
        self._upstream.end(path)
        self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
            self._transport.write(head + answer)


async def main(port: int, milliseconds: float, records: int | None) -> None:
    """Serve until the process is ended."""
    upstream = Upstream(records)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Slow(upstream, milliseconds / 1000), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None))
