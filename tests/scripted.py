"""An upstream that says what a test scripts: over real HTTP, down to the bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Script = Callable[[str], bytes | Awaitable[bytes]]
"""Given the request line's method and target, the bytes to answer with; empty ones close the connection."""


@dataclass
class Scripted:
    """A scripted upstream: its URL, and the requests that it received."""

    url: str
    requests: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    """The whole heads of the requests."""


def http(status: int, body: bytes | str = b"", *headers: str) -> bytes:
    """Return the bytes of a whole response."""
    encoded = body.encode() if isinstance(body, str) else body
    head = "\r\n".join([f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(encoded)}", *headers])
    return head.encode() + b"\r\n\r\n" + encoded


@asynccontextmanager
async def scripted(script: Script, *, close_after: bool = False, drip_s: float = 0) -> AsyncIterator[Scripted]:
    """Answer every request as `script` says, until the block ends.

    `close_after` closes the connection behind each answer, `drip_s` sends byte by byte with that pause.
    """
    upstream = Scripted("")

    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            while head := await _head(reader):
                upstream.heads.append(head)
                line, *headers = head.split("\r\n")
                request = line.rsplit(" ", 1)[0]
                upstream.requests.append(request)
                length = next((int(h[15:]) for h in headers if h.lower().startswith("content-length:")), 0)
                await reader.readexactly(length)
                answer = script(request)
                answer = answer if isinstance(answer, bytes) else await answer
                if not answer:
                    return
                for piece in [answer] if not drip_s else [answer[i : i + 1] for i in range(len(answer))]:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(drip_s)
                if close_after:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        for writer in list(writers):  # nobody may wait for connections that a pool keeps open
            writer.close()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return ""
