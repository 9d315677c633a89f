"""One connection's parsing: whole, byte by byte, cut anywhere, and malformed in every way that matters."""

import asyncio
import gc
import gzip
import itertools
import weakref
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peoplegraph.outbox import Outbox
from peoplegraph.upstream.body import MAX_BODY_BYTES, Broken
from peoplegraph.upstream.call import Answer
from peoplegraph.upstream.http1_connection import MAX_HEAD_BYTES, Connection, Late, Lost


class Wire(asyncio.Transport):
    """A transport that goes nowhere: what was written to it, and whether it was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: Any) -> None:
        """Keep what is written."""
        self.written += bytes(data)

    def abort(self) -> None:
        """End."""
        self.aborted = True

    def is_closing(self) -> bool:
        """Whether it was ended."""
        return self.aborted


class Exchange:
    """A connection that carries one request, and what its pool was told."""

    def __init__(self) -> None:
        self.ended: list[bool] = []
        self.wire = Wire()
        self.outbox = Outbox()
        self.connection = Connection(lambda _, keep: self.ended.append(keep), lambda _: None, self.outbox)
        self.connection.connection_made(self.wire)
        self.begin()

    def begin(self, *, head_only: bool = False, until_s: float = 60) -> None:
        """Send a request."""
        loop = asyncio.get_running_loop()
        self.waiter: asyncio.Future[Answer] = loop.create_future()
        until = loop.time() + until_s
        self.connection.begin(b"GET", self.waiter, first_byte_by=until, until=until, head_only=head_only)
        self.outbox.flush()

    def feed(self, *pieces: bytes) -> None:
        """Receive, until the connection is ended."""
        for piece in pieces:
            if not self.wire.aborted:
                self.connection.data_received(piece)

    def end(self) -> None:
        """Receive the peer's end."""
        if not self.wire.aborted:
            self.connection.eof_received()
        self.connection.connection_lost(None)


def length(body: bytes, *headers: bytes) -> bytes:
    """Return a response that is framed by its length."""
    head = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def deflated(body: bytes, wbits: int) -> bytes:
    """Return a body as zlib compresses it."""
    compressor = zlib.compressobj(wbits=wbits)
    return compressor.compress(body) + compressor.flush()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE: dict[str, tuple[bytes, int, bytes, bool]] = {
    "length": (length(b"hello"), 200, b"hello", True),
    "empty": (length(b""), 200, b"", True),
    "error": (b"HTTP/1.1 503 \r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\nno", 503, b"no", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    "close": (length(b"hello", b"Connection: close"), 200, b"hello", False),
    "1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    "1.0 keep-alive": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
    "chunked": (CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 200, b"hello!", True),
    "chunk extensions": (CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n", 200, b"hello", True),
    "trailers": (CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\nX: y\r\n\r\n", 200, b"ok", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304": (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 9\r\n\r\n", 304, b"", True),
    "100": (b"HTTP/1.1 100 Continue\r\n\r\n" + length(b"ok"), 200, b"ok", True),
    "103 twice": (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" * 2 + length(b"ok"), 200, b"ok", True),
    "gzip": (length(gzip.compress(b"hello"), b"Content-Encoding: gzip"), 200, b"hello", True),
    "deflate": (length(deflated(b"hello", 15), b"Content-Encoding: deflate"), 200, b"hello", True),
    "raw deflate": (length(deflated(b"hello", -15), b"Content-Encoding: Deflate"), 200, b"hello", True),
    "identity": (length(b"hello", b"Content-Encoding: identity"), 200, b"hello", True),
}
UNTIL_EOF = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello"


async def test_a_connection_that_is_lost_is_let_go_of() -> None:
    """It and its parser hold each other: neither waits for the garbage collector."""
    exchange = Exchange()
    exchange.feed(length(b"hello"))
    await exchange.waiter
    exchange.end()
    gone = weakref.ref(exchange.connection)
    gc.disable()
    try:
        del exchange.connection
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("data", "status", "body", "keep"), WHOLE.values(), ids=WHOLE.keys())
async def test_an_answer_whole_and_byte_by_byte(data: bytes, status: int, body: bytes, keep: bool) -> None:
    """However it is split, an answer is the same, and the connection goes on where it may."""
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        exchange = Exchange()
        exchange.feed(*pieces)
        answer = exchange.waiter.result()
        assert (answer.status, answer.body) == (status, body)
        assert exchange.ended == [keep]
        assert exchange.wire.aborted is not keep


@given(st.data())
async def test_an_answer_in_any_pieces(data: st.DataObject) -> None:
    """Two answers over one connection, split anywhere, are the same two."""
    (first, status, body, keep) = data.draw(st.sampled_from([case for case in WHOLE.values() if case[3]]))
    exchange = Exchange()
    for _ in range(2):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(first)), max_size=5)))
        edges = [0, *cuts, len(first)]
        exchange.feed(*(first[a:b] for a, b in itertools.pairwise(edges) if a < b))
        answer = exchange.waiter.result()
        assert (answer.status, answer.body, exchange.ended[-1]) == (status, body, keep)
        exchange.begin()


@pytest.mark.parametrize("data", [case[0] for case in WHOLE.values()], ids=WHOLE.keys())
async def test_an_answer_that_is_cut_anywhere_is_lost(data: bytes) -> None:
    """Whatever is missing of an answer, it is no answer, and one knows whether any of it had come."""
    for end in range(len(data)):
        exchange = Exchange()
        exchange.feed(*([data[:end]] if end else []))
        exchange.end()
        error = exchange.waiter.exception()
        assert isinstance(error, Lost)
        assert error.started is (end > 0)
        assert exchange.ended == [False]


async def test_an_answer_that_ends_with_its_connection() -> None:
    """Without a length the end of the connection is the end of the body, but not of the head."""
    head = UNTIL_EOF.index(b"\r\n\r\n") + 4
    for end in range(len(UNTIL_EOF) + 1):
        exchange = Exchange()
        exchange.feed(*([UNTIL_EOF[:end]] if end else []))
        exchange.end()
        if end < head:
            assert isinstance(exchange.waiter.exception(), Lost)
        else:
            assert exchange.waiter.result().body == UNTIL_EOF[head:end]
        assert exchange.ended == [False]
        assert exchange.wire.aborted


BROKEN: dict[str, bytes] = {
    "garbage": b"nonsense\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "a request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
    "chunks and length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nab\r\n",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab",
    "length of letters": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "length beyond 64 bits": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "length beyond the bound": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
    "chunk of letters": CHUNKED + b"xyz\r\n",
    "chunk longer than it says": CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
    "chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nab",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_HEAD_BYTES,
    "endless 1xx": b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD_BYTES // 20),
    "101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nabc",
    "an unknown coding": length(b"abc", b"Content-Encoding: br"),
    "a broken coding": length(b"abc", b"Content-Encoding: gzip"),
    "a cut coding": length(gzip.compress(b"hello")[:-3], b"Content-Encoding: gzip"),
    "a bomb": length(gzip.compress(b" " * (MAX_BODY_BYTES + 1), 1), b"Content-Encoding: gzip"),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_no_answer_is_broken(data: bytes) -> None:
    """Malformed, conflicting or boundless, whole or in pieces: no answer, and no further use of the connection."""
    pieces = [data[i : i + 1000] for i in range(0, len(data), 1000)]
    singles = [data[i : i + 1] for i in range(len(data))]
    for fed in ([data], pieces, singles if len(data) < 5000 else pieces):
        exchange = Exchange()
        exchange.feed(*fed)
        assert isinstance(exchange.waiter.exception(), Broken)
        assert exchange.ended == [False]
        assert exchange.wire.aborted


async def test_a_body_beyond_the_bound_is_dropped_on_the_way() -> None:
    """A chunked body is not collected beyond the bound."""
    exchange = Exchange()
    exchange.feed(CHUNKED, b"%x\r\n" % (MAX_BODY_BYTES * 2))
    for _ in range(40):
        exchange.feed(b" " * 1024 * 1024)
    assert isinstance(exchange.waiter.exception(), Broken)


@pytest.mark.parametrize("behind", [b"x", length(b"other"), b"\r\n\r\nHTTP/1.1 200 OK\r\n"])
async def test_bytes_behind_the_end_end_the_connection(behind: bytes) -> None:
    """What comes behind an answer reaches no other call, be it in the same packet or later."""
    together = Exchange()
    together.feed(length(b"hello") + behind)
    assert together.waiter.result().body == b"hello"
    assert together.ended == [False]
    assert together.wire.aborted
    later = Exchange()
    later.feed(length(b"hello"))
    assert later.waiter.result().body == b"hello"
    assert later.ended == [True]
    later.feed(behind)
    assert later.wire.aborted


async def test_head_has_no_body() -> None:
    """The answer to HEAD ends with its head, whatever length that tells; the connection is not used again."""
    exchange = Exchange()
    exchange.waiter.cancel()
    exchange.begin(head_only=True)
    exchange.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert exchange.waiter.result().body == b""
    assert exchange.ended == [False]


async def test_an_answer_that_does_not_begin_or_does_not_end_in_time() -> None:
    """Both bounds end the connection; an answer that has begun has until the second."""
    for fed in (b"", length(b"hello")[:-1]):
        exchange = Exchange()
        exchange.waiter.cancel()
        exchange.begin(until_s=0.01)
        exchange.feed(*([fed] if fed else []))
        await asyncio.sleep(0.03)
        assert isinstance(exchange.waiter.exception(), Late)
        assert exchange.wire.aborted


@pytest.mark.parametrize("first_s", [0.05, 60])
async def test_each_exchange_has_its_own_time(first_s: float) -> None:
    """Whether the one before it on the connection had less or more."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    exchange = Exchange()
    for until_s in (first_s, 0.2):
        exchange.feed(length(b"x"))
        exchange.begin(until_s=until_s)
    with pytest.raises(Late):
        await exchange.waiter
    assert loop.time() - begun > 0.15  # and not 0.05
    assert exchange.ended == [True, True, False]


async def test_headers_are_lower_case_and_as_they_were() -> None:
    """Names are lower case, values are as they came; headers that nobody reads are dropped."""
    exchange = Exchange()
    exchange.feed(length(b"", b'ETag: "AbC caf\xe9"', b"Set-Cookie: session=1"))
    assert exchange.waiter.result().headers == {"etag": '"AbC caf\xe9"'}


async def test_repeated_headers_are_one() -> None:
    """They are joined, as HTTP has it: nothing that one of them says is lost."""
    exchange = Exchange()
    exchange.feed(length(b"", b"Cache-Control: no-store", b"Cache-Control: private"))
    assert exchange.waiter.result().headers["cache-control"] == "no-store, private"


@pytest.mark.parametrize("size", [1, 2, 5, 10**9])
async def test_a_body_of_several_gzip_members(size: int) -> None:
    """All of them are the body; whatever else is behind the first is not taken for nothing."""
    body = gzip.compress(b"hello ") + gzip.compress(b"world")
    exchange = Exchange()
    whole = length(body, b"Content-Encoding: gzip")
    exchange.feed(*(whole[start : start + size] for start in range(0, len(whole), size)))
    assert exchange.waiter.result().body == b"hello world"
    broken = Exchange()
    broken.feed(length(gzip.compress(b"hello") + b"more", b"Content-Encoding: gzip"))
    assert isinstance(broken.waiter.exception(), Broken)


async def test_many_gzip_members_are_none() -> None:
    """Members that are made to keep us busy are refused."""
    exchange = Exchange()
    body = gzip.compress(b"") * 50_000
    exchange.feed(length(body, b"Content-Encoding: gzip"))
    assert isinstance(exchange.waiter.exception(), Broken)


async def test_a_connection_whose_request_was_long_is_not_kept() -> None:
    """An early answer may leave some of it unsent, and the server waiting for it."""
    exchange = Exchange()
    exchange.waiter.cancel()
    loop = asyncio.get_running_loop()
    exchange.waiter = loop.create_future()
    until = loop.time() + 5
    exchange.connection.begin(b"x" * 100_000, exchange.waiter, first_byte_by=until, until=until)
    exchange.feed(length(b"early"))
    assert exchange.waiter.result().body == b"early"
    assert exchange.ended == [False]


async def test_who_gives_up_ends_no_other_exchange() -> None:
    """A call that is cancelled when its answer is there already leaves the connection to the next one."""
    exchange = Exchange()
    first = exchange.waiter
    exchange.feed(length(b"hello"))
    exchange.begin()
    exchange.connection.give_up(first)
    assert not exchange.wire.aborted
    exchange.connection.give_up(exchange.waiter)
    assert exchange.wire.aborted


async def test_the_server_may_say_how_long_it_keeps_the_connection() -> None:
    """`Keep-Alive: timeout=5` is kept for 4 s, so as not to meet its end."""
    exchange = Exchange()
    exchange.feed(length(b"", b"Keep-Alive: timeout=5, max=100"))
    assert exchange.connection.kept_for_s == 4
