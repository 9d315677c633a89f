"""The upstream with latency: each answer after so many milliseconds. python slow.py PORT MILLISECONDS."""

import asyncio
import sys

import uvloop
from workloads import answers


class Slow(asyncio.Protocol):
    """One connection; it answers GETs one after the other."""

    def __init__(self, responses: dict[bytes, bytes], seconds: float) -> None:
        self._responses = responses
        self._seconds = seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._received += data
        while b"\r\n\r\n" in self._received:
            request, self._received = self._received.split(b"\r\n\r\n", 1)
            path = request.split(b" ")[1].split(b"?")[0]
            answer = self._responses.get(path, b"null")
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
            asyncio.get_running_loop().call_later(self._seconds, self._write, head + answer)

    def _write(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)


async def main(port: int, milliseconds: float) -> None:
    """Serve until the process is ended."""
    responses = {path.encode(): answer.encode() for path, answer in answers().items()}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Slow(responses, milliseconds / 1000), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
