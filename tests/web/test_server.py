"""The gateway's way of speaking HTTP: a response is whole, and in one write, however the connection goes on."""

import asyncio
import json
from typing import Any

import pytest

from peoplegraph.cli import PROTOCOL
from peoplegraph.sandbox.serving import serving

BIG = b"x" * 300_000


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the path; `/big` with much, `/parts` in several."""
    parts = {"/big": [BIG], "/parts": [b"a", b"b", b"c"]}.get(scope["path"], [scope["path"].encode()])
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


@pytest.mark.parametrize("path", ["/one", "/big", "/parts"])
async def test_a_response_is_whole(path: str) -> None:
    """Also where the connection ends with it, and behind another one on the same connection."""
    async with serving((app,), "127.0.0.1", 0, http=PROTOCOL) as (server,):
        got = await ask(
            server.url,
            "GET /first HTTP/1.1\r\nHost: x\r\n\r\n",
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
    first, second = got.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith(b"\r\n\r\n/first")
    assert second.split(b"\r\n\r\n")[1] == {"/big": BIG, "/parts": b"abc"}.get(path, path.encode())


async def test_what_is_no_http_is_refused() -> None:
    """With a 400, which is sent before the connection is closed."""
    async with serving((app,), "127.0.0.1", 0, http=PROTOCOL) as (server,):
        assert (await ask(server.url, json.dumps("nonsense") + "\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
