"""Bytes on a socket that are hardly HTTP: each connection is answered or closed, and the others are served."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from peoplegraph.web.server import Protocol
from tests.fuzz.requests import RARELY, requests, spoiled
from tests.fuzz.served import FORWARDED, KEY, PATIENCE_S, Served, assert_reply, bounded, serving_gateway

SHORT_S = 0.3
"""How long the gateway waits for a head, a body, a system's answer, and the next request."""

ENDED_S = 5.0
"""How long a connection may then be open."""

BODY = json.dumps({"query": '{ representative(reference: "REP-001") { name } currentAssignee { email } }'})
SECRET = f"Authorization: Bearer {KEY}\r\nX-Billtrust-Auth: {FORWARDED['x-billtrust-auth']}\r\n"


def head(line: str, *headers: str) -> bytes:
    """Return a request's line and headers."""
    return "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def post(body: str, *headers: str) -> bytes:
    """Return a request with a body."""
    length = f"Content-Length: {len(body.encode())}"
    return head("POST /graphql", "Content-Type: application/json", length, *headers) + body.encode()


def frame(text: str) -> bytes:
    """Return a message of a WebSocket's client, masked with zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


class Hurried(Protocol):
    """The gateway's protocol, which does not wait for long."""

    head_s = SHORT_S


SOCKET = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: graphql-transport-ws",
]
GOOD = [
    post(BODY),
    post(BODY, *SECRET.split("\r\n")[:2]),
    post(BODY, "Expect: 100-continue", "Accept: text/event-stream"),
    post(json.dumps({"query": 'mutation { deleteAssignee(by: { assigneeId: "asg-0001" }) { deleted } }'})),
    post(BODY, "Connection: close"),
    head("POST /graphql", "Content-Type: application/json", "Transfer-Encoding: chunked")
    + b'10\r\n{"query":"{ __ty\r\nb;x=y\r\npename }"}\n\r\n0\r\n\r\n',
    head("GET /graphql?query=%7B__typename%7D", "apollo-require-preflight: 1"),
    head("GET /graphql", "Accept: text/html"),
    head("OPTIONS /graphql", "Origin: https://app.example", "Access-Control-Request-Method: POST"),
    head("PUT /graphql/"),
    post(BODY, "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"),
    post(BODY, *SOCKET),
    head("GET /graphql", *SOCKET, f"Cookie: {'x' * 9_000}"),
    head("GET /graphql", *SOCKET)
    + frame('{"type":"connection_init"}')
    + frame('{"type":"subscribe","id":"1","payload":{"query":"{ __typename }"}}'),
]


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a client says, in pieces, and whether it then listens, says that this was all, or is gone."""

    pieces: tuple[bytes, ...]
    then: str


@st.composite
def cut(draw: st.DrawFn, text: bytes) -> tuple[bytes, ...]:
    """Cut bytes into up to four pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return tuple(text[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True))


@st.composite
def spoken(draw: st.DrawFn) -> Spoken:
    """Make up what a client says: good requests in a row, spoiled, or anything."""
    good = st.sampled_from(GOOD) | requests().map(post)
    text = b"".join(draw(st.lists(good, min_size=1, max_size=3)))
    if not draw(RARELY):
        text = draw(st.binary(max_size=200) if draw(RARELY) else spoiled(text))
    return Spoken(draw(cut(text)), draw(st.sampled_from(["listens", "listens", "ends", "is gone"])))


@pytest.fixture(scope="module")
async def served(pytestconfig: pytest.Config) -> AsyncIterator[Served]:
    """Serve a gateway that does not wait for long."""
    config = {"http": Hurried, "timeout_keep_alive": SHORT_S}
    engine = pytestconfig.getoption("--engine")
    async with serving_gateway(config=config, deadline_s=SHORT_S, upstream_engine=engine) as served:
        yield served


async def heard(port: int, spoken: Spoken) -> bytes:
    """Say something; return all that comes until the gateway ends the connection, or upgrades it."""
    received = b""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(ENDED_S):
            for piece in spoken.pieces:
                if not writer.is_closing():
                    writer.write(piece)
                await asyncio.sleep(0.001)
            if spoken.then == "is gone":
                return b""
            if spoken.then == "ends" and not writer.is_closing():
                writer.write_eof()
            while b"HTTP/1.1 101 " not in received and (data := await reader.read(100_000)):
                received += data
    except OSError:  # it was closed before it had read all
        return b""
    finally:
        writer.transport.abort()
    return received


def replies(received: bytes) -> Iterator[httpx.Response]:
    """Yield the responses that came, each of them whole."""
    while received:
        start, _, rest = received.partition(b"\r\n\r\n")
        line, *lines = start.split(b"\r\n")
        version, status, *_ = line.split(b" ")
        assert version == b"HTTP/1.1"
        pairs = (each.split(b": ", 1) for each in lines)
        headers = [(name.lower(), value) for name, value in pairs]
        length = int(dict(headers).get(b"content-length", b"0"))
        assert len(rest) >= length
        if int(status) == 101:
            return
        if int(status) != 100:
            yield httpx.Response(int(status), headers=headers, content=rest[:length])
        received = rest[length:]


@bounded(30)
@given(st.lists(spoken(), min_size=1, max_size=20))
async def test_what_is_hardly_http(
    served: Served, caplog: pytest.LogCaptureFixture, connections: list[Spoken]
) -> None:
    """Each connection ends, what was said on it is whole and tells of no bug, and a good request is answered."""
    await served.begin(caplog)
    async with asyncio.timeout(PATIENCE_S):
        for received in await asyncio.gather(*(heard(served.port, each) for each in connections)):
            served.assert_tight(received)
            for reply in replies(received):
                assert reply.status_code < 500
                event(f"{reply.status_code}")
                if "json" in reply.headers.get("content-type", ""):
                    assert_reply(reply)
    await served.assert_well(caplog)


ASKED = '{"query":"{ a%d: __typename }"}'
ANSWERED = b'{"data":{"a%d":"Query"}}'
WAYS: list[Callable[[int], bytes]] = [
    lambda number: post(ASKED % number),
    lambda number: post(ASKED % number, "Expect: 100-continue"),
    lambda number: post(ASKED % number, "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"),
    lambda number: post((ASKED % number).ljust(100_000)),
    lambda number: (
        head("POST /graphql", "Content-Type: application/json", "Transfer-Encoding: chunked")
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(ASKED % number), (ASKED % number).encode())
    ),
    lambda number: head(f"GET /graphql?query=%7Ba{number}:__typename%7D", "apollo-require-preflight: 1"),
]
"""The ways in which a good request may come."""


@bounded(60)
@given(st.lists(st.sampled_from(WAYS), min_size=1, max_size=6), st.data())
async def test_good_requests_in_a_row(
    served: Served, ways: list[Callable[[int], bytes]], data: st.DataObject
) -> None:
    """In whichever pieces they come, each has its answer, in order."""
    requests = [way(number) for number, way in enumerate(ways)]
    text = b"".join(requests) + post(ASKED % len(requests), "Connection: close")
    received = await heard(served.port, Spoken(data.draw(cut(text)), "listens"))
    got = [(reply.status_code, reply.content) for reply in replies(received)]
    assert got == [(200, ANSWERED % number) for number in range(len(requests) + 1)]
