"""The gateway's way of speaking HTTP: a response is whole, and in one write, however the connection goes on."""

import asyncio
import json
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from peoplegraph.cli import UVICORN
from peoplegraph.sandbox.serving import serving
from peoplegraph.web.server import Protocol

BIG = b"x" * 300_000


class Wire(asyncio.Transport):
    """A transport that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any) -> None:
        """Keep a write."""
        self.writes.append(data)

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return False


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the path; `/big` with much, `/parts` in several."""
    parts = {"/big": [BIG], "/parts": [b"a", b"b", b"c"], "/none": [b""]}.get(
        scope["path"], [scope["path"].encode()]
    )
    await receive()
    head = [(b"content-length", b"%d" % sum(map(len, parts)))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    for index, part in enumerate(parts):
        await send({"type": "http.response.body", "body": part, "more_body": index < len(parts) - 1})


async def ask(url: str, *requests: str) -> bytes:
    """Send requests in one write; return what comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    writer.write("".join(requests).encode())
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


async def test_head_and_body_are_one_write() -> None:
    """In the turn of the loop behind the one that made them."""
    config = uvicorn.Config(app)
    config.load()
    protocol = Protocol(config, ServerState(), {})
    wire = Wire()
    protocol.connection_made(wire)
    protocol.data_received(b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n")
    while not wire.writes:  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0)
    (response,) = wire.writes
    assert response.endswith(b"\r\n\r\n/one")
    protocol.connection_lost(ConnectionResetError())


async def test_a_client_that_says_no_more_is_answered() -> None:
    """One that ends its side behind its request has its answer all the same, as from uvicorn itself."""
    async with serving((app,), "127.0.0.1", 0, **UVICORN) as (server,):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        writer.write(b"no HTTP\r\n\r\n")
        writer.write_eof()
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 400 ")
        writer.close()


@pytest.mark.parametrize("path", ["/one", "/big", "/parts", "/none"])
async def test_a_response_is_whole(path: str) -> None:
    """Also where the connection ends with it, and behind another one on the same connection."""
    async with serving((app,), "127.0.0.1", 0, **UVICORN) as (server,):
        got = await ask(
            server.url,
            "GET /first HTTP/1.1\r\nHost: x\r\n\r\n",
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
    first, second = got.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith(b"\r\n\r\n/first")
    assert second.split(b"\r\n\r\n")[1] == {"/big": BIG, "/parts": b"abc", "/none": b""}.get(path, path.encode())


async def test_what_is_no_http_is_refused() -> None:
    """With a 400, which is sent before the connection is closed."""
    async with serving((app,), "127.0.0.1", 0, **UVICORN) as (server,):
        assert (await ask(server.url, json.dumps("nonsense") + "\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
