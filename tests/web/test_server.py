"""The gateway's way of speaking HTTP: a response is whole, and in one write, however the connection goes on."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from peoplegraph import create_app
from peoplegraph.commands.serve import UVICORN
from peoplegraph.sandbox import Blocks
from peoplegraph.sandbox.serving import serving
from peoplegraph.web.server import Protocol, SocketProtocol
from tests.gateway import settings_for

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


async def raw(url: str, *parts: bytes, pause_s: float = 0) -> bytes:
    """Send parts, with a pause after each; return what comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    try:
        with suppress(ConnectionError):  # who is refused may still be writing
            for part in parts:
                writer.write(part)
                await asyncio.sleep(pause_s)
        answer = b""
        with suppress(ConnectionError):
            while chunk := await asyncio.wait_for(reader.read(1000), 5):
                answer += chunk
        return answer
    finally:
        writer.close()


HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"a: " + b"x" * 40_000 + b"\r\n\r\n",
        HEAD + b"a: " + b"x" * 400_000,
        HEAD + b"".join(b"a%d: x\r\n" % number for number in range(200)) + b"\r\n",
        HEAD + b"x" * 40_000 + b": y\r\n\r\n",
        b"GET /" + b"x" * 100_000,
    ],
)
async def test_a_large_head_is_refused(head: bytes) -> None:
    """A request's line and headers are read up to a bound, and 100 headers: beyond, it is a 431 and the end."""
    async with serving((app,), "127.0.0.1", 0, **UVICORN) as (server,):
        for before in (b"", HEAD + b"\r\n"):
            answer = await raw(server.url, before, head)
            assert b"HTTP/1.1 431 " in answer or len(head) > 300_000  # then it may be cut off before it hears
        assert (await raw(server.url, HEAD + b"connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_slow_head_is_refused() -> None:
    """A client that drips its headers, or says nothing at all, is not waited for; a slow body is another matter."""

    class Hasty(Protocol):
        head_s = 0.2

    async with serving((app,), "127.0.0.1", 0, **(UVICORN | {"http": Hasty})) as (server,):
        for before in (b"", HEAD + b"\r\n"):
            answer = await raw(server.url, before, *(bytes([byte]) for byte in HEAD[:3]), pause_s=0.05)
            assert b"HTTP/1.1 408 " in answer
        assert b"HTTP/1.1 408 " in await raw(server.url)
        post = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n"
        assert (await raw(server.url, post, b"a", b"b", pause_s=0.3)).startswith(b"HTTP/1.1 200")


async def test_a_slow_body_is_refused(blocks: Blocks) -> None:
    """A body that does not come within the request's time is a 408."""
    app = create_app(settings_for(blocks, deadline_s=0.2))
    head = b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += b"content-length: 99\r\n\r\n{"
    async with serving((app,), "127.0.0.1", 0, lifespan="on", **UVICORN) as (server,):
        answer = await raw(server.url, head)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"BAD_REQUEST" in answer


async def test_requests_that_wait_are_bounded() -> None:
    """Who sends requests in a row, and never reads, is cut off, and fills no memory."""

    async def slow(_: Any, __: Any, send: Any) -> None:
        await asyncio.sleep(0.5)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with serving((slow,), "127.0.0.1", 0, **UVICORN) as (server,):
        answer = await raw(server.url, (HEAD + b"\r\n") * 100)
        assert answer.startswith(b"HTTP/1.1 429 ")
        await asyncio.sleep(0.6)  # for the first of them to end


async def test_a_trailer_is_no_header() -> None:
    """What comes behind a body is not among the headers that were looked at before it."""
    seen: list[bytes] = []

    async def tell(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
        seen.extend(name for name, _ in scope["headers"])

        async def nothing() -> Any:
            return message

        await app(scope, nothing, send)

    post = b"POST /big HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    async with serving((tell,), "127.0.0.1", 0, **UVICORN) as (server,):
        answer = await raw(server.url, post + b"1\r\na\r\n0\r\nauthorization: Bearer x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert seen == [b"host", b"connection", b"transfer-encoding"]


async def test_a_connection_that_is_kept_with_nothing_to_ask() -> None:
    """A line's end behind an answer keeps no connection open; a handshake that never comes does not, either."""

    class Hasty(Protocol):
        head_s = 0.2

    class HastySocket(SocketProtocol):
        handshake_s = 0.2

    options = UVICORN | {"http": Hasty, "ws": HastySocket}
    upgrade = HEAD + b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    async with serving((app,), "127.0.0.1", 0, **options) as (server,):
        answer = await raw(server.url, HEAD + b"\r\n", b"\r\n", pause_s=0.05)
        assert answer.startswith(b"HTTP/1.1 200 ")
        await raw(server.url, upgrade + b"x: " + b"x" * 9_000 + b"\r\n\r\n")
        await raw(server.url, upgrade + b"content-length: 5\r\n\r\n")


async def test_an_offer_of_another_protocol_is_declined() -> None:
    """Java's client offers HTTP/2 with each request: its body is read all the same, and so is what follows it."""
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    body = json.dumps({"query": "{ __typename }"})
    post = f"POST /echo HTTP/1.1\r\nHost: x\r\n{offer}Content-Length: {len(body)}\r\n\r\n{body}"

    async def echo(_: Any, receive: Any, send: Any) -> None:
        said, more = b"", True
        while more:
            message = await receive()
            said, more = said + message["body"], message["more_body"]
        head = [(b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": said})

    async with serving((echo,), "127.0.0.1", 0, **UVICORN) as (server,):
        end = "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        whole = post + post + end
        got = [await ask(server.url, whole), await raw(server.url, *(b"%c" % byte for byte in whole.encode()))]
    for answers in got:
        assert [answer.partition(b"\r\n\r\n")[2] for answer in answers.split(b"HTTP/1.1 ")[1:]] == [
            body.encode(),
            body.encode(),
            b"",
        ]
