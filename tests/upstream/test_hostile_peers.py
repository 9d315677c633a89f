"""Both engines, and peers and proxies that do what no server should."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest
from msgspec.structs import replace

from peoplegraph.errors import BadResponse, TimedOut, Unavailable, UpstreamError
from peoplegraph.systems import System
from peoplegraph.upstream.http1 import Http1Engine
from peoplegraph.upstream.httpx_engine import HttpxEngine
from peoplegraph.upstream.limit import Limits
from tests.scripted import http, scripted
from tests.upstream.engines import MakeEngine, at_rest, call, engine

__all__ = ["engine"]


ANOTHERS = http(200, b"another's")


async def test_no_answer_reaches_another_call(engine: MakeEngine) -> None:
    """An answer that comes behind another's in one packet is nobody's."""
    async with scripted(lambda request: http(200, request) + ANOTHERS) as upstream, engine(upstream.url, 1) as e:
        for target in ("/a", "/b", "/c"):
            assert (await e.send(call(target))).body == f"POST {target}".encode()


async def test_an_answer_that_nobody_asked_for_is_not_the_next_calls(engine: MakeEngine) -> None:
    """Bytes that came to an idle connection while the loop was busy are not taken for an answer."""
    accepted: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_unasked, args=(listener, accepted))
    thread.start()
    try:
        async with engine(f"http://127.0.0.1:{listener.getsockname()[1]}", 1) as e:
            assert (await e.send(call("/a"))).body == b"/a"
            time.sleep(0.1)  # noqa: ASYNC251  # the loop is busy while the other answer comes
            assert (await e.send(call("/b"))).body == b"/b"
    finally:
        listener.close()
        for connection in accepted:
            connection.close()
        thread.join(5)


def _unasked(listener: socket.socket, accepted: list[socket.socket]) -> None:
    """Answer the first request on each connection twice, the second time a little later."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            accepted.append(connection)
            request = connection.recv(65536)
            connection.sendall(http(200, request.split(b" ")[1]))
            time.sleep(0.02)
            connection.sendall(ANOTHERS)


async def test_who_speaks_first_is_not_listened_to() -> None:
    """An answer that is there before a request was sent is nobody's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANOTHERS)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Http1Engine({System.RPM: url}, {System.RPM: Limits(1)}) as e:
        outcomes = await asyncio.gather(*(e.send(call(f"/{n}")) for n in range(20)), return_exceptions=True)
        assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) >= 19  # it may be later than we are
        assert at_rest(e)


async def test_a_name_that_cannot_be_looked_up_costs_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many calls wait for a lookup that hangs, it is one lookup, and an address needs none."""
    loop, lookups = asyncio.get_running_loop(), 0

    async def hangs(*_: object, **__: object) -> list[object]:
        nonlocal lookups
        lookups += 1
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr(loop, "getaddrinfo", hangs)
    async with Http1Engine({System.RPM: "http://slow.example"}, {System.RPM: Limits(50)}) as e:
        outcomes = await asyncio.gather(*(e.send(call(within_s=0.1)) for _ in range(50)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TimedOut}
    assert lookups == 1


async def test_two_ways_of_framing_are_broken(engine: MakeEngine) -> None:
    """A length and chunks at once are how answers are smuggled."""
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with scripted(lambda _: body) as upstream, engine(upstream.url) as e:
        with pytest.raises(BadResponse):
            await e.send(call())


async def test_there_are_never_more_connections_than_calls_at_once(engine: MakeEngine) -> None:
    """Calls that want new connections take the places of idle ones."""
    under_way: set[asyncio.StreamWriter] = set()
    most = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        under_way.add(writer)
        most = max(most, len(under_way))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(0.02)
                writer.write(http(200))
        under_way.discard(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, engine(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", 10) as e:
        await asyncio.gather(*(e.send(call()) for _ in range(9)))
        await asyncio.sleep(1.1)  # now they are too old for what must not be sent twice
        await asyncio.gather(*(e.send(call(reads=False)) for _ in range(10)))
    assert most <= 11  # one may be closing still


async def test_what_waits_is_not_sent_behind_the_close(engine: MakeEngine) -> None:
    """Calls that wait for their turn when the engine is closed fail, and are not sent any more."""

    async def hang(_: str) -> bytes:
        await asyncio.sleep(10)
        return b""

    async with scripted(hang) as upstream:
        async with engine(upstream.url, 1) as e:
            waiting = [asyncio.ensure_future(e.send(call(f"/{n}", reads=False))) for n in range(4)]
            await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0.05)
        assert upstream.requests == ["POST /0"]


async def test_a_header_that_cannot_be_sent_costs_no_slot(engine: MakeEngine) -> None:
    """A request that cannot be made is an error of its own call, and leaves the slots to the others."""
    async with scripted(lambda _: http(200)) as upstream, engine(upstream.url, 1) as e:
        for value in ("caf\u00e9", "a\r\nX-Smuggled: b"):
            for _ in range(3):
                with contextlib.suppress(ValueError, UpstreamError):
                    await e.send(replace(call(), headers={"If-None-Match": value}))
        assert at_rest(e)
        assert (await e.send(call())).status == 200
    assert not any("Smuggled" in request for request in upstream.requests)


async def test_a_dead_address_does_not_take_the_system_down(
    engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a name has several addresses, one that swallows what is sent to it costs a moment."""
    loop = asyncio.get_running_loop()
    dead = socket.socket()
    dead.bind(("127.0.0.2", 0))
    dead.listen(0)
    port = dead.getsockname()[1]
    fillers = [socket.socket() for _ in range(8)]
    for filler in fillers:
        filler.settimeout(0)
        filler.connect_ex(dead.getsockname())
    server = await asyncio.start_server(_one_answer, "127.0.0.1", port)

    async def both(host: str, *_: object, **__: object) -> list[object]:
        addresses = ("127.0.0.2", "127.0.0.1") if host == "localhost" else (host,)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(loop, "getaddrinfo", both)
    try:
        async with server, engine(f"http://localhost:{port}") as e:
            began = loop.time()
            assert (await e.send(call(within_s=4))).status == 200
            assert loop.time() - began < 3
    finally:
        for each in (dead, *fillers):
            each.close()


async def _one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(http(200, b"", "Connection: close"))
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("answer", [http(407), http(502), b""], ids=["407", "502", "nothing"])
async def test_a_proxy_that_refuses_had_no_part_in_a_write(answer: bytes) -> None:
    """A write that a proxy does not let through was not sent: UPSTREAM_UNAVAILABLE, not unknown."""
    async with (
        scripted(lambda _: answer) as proxy,
        HttpxEngine(
            {System.RPM: "https://rpm.example"}, {System.RPM: Limits(1)}, proxies={System.RPM: proxy.url}
        ) as e,
    ):
        with pytest.raises(Unavailable):
            await e.send(call(reads=False))
    assert proxy.requests == ["CONNECT rpm.example:443"]
