"""Both engines, over real sockets that misbehave."""

import asyncio
import random

import httpx
import pytest

from peoplegraph.errors import BadResponse, OutcomeUnknown, TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.http1 import Http1Engine
from peoplegraph.upstream.httpx_engine import HttpxEngine
from peoplegraph.upstream.limit import Limits
from tests.scripted import http, scripted
from tests.upstream.engines import MakeEngine, at_rest, call, engine

__all__ = ["engine"]


async def test_the_target_stays_as_it_was_encoded(engine: MakeEngine) -> None:
    """What is percent-encoded, dots included, is sent byte for byte below the base's path."""
    target = "/a%2Fb/%2E%2E/%25?q=%20"
    async with scripted(lambda _: http(200)) as upstream, engine(f"{upstream.url}/base") as e:
        await e.send(call(target))
    assert upstream.requests == [f"POST /base{target}"]


async def test_connections_are_kept_and_bounded(engine: MakeEngine) -> None:
    """Calls one after the other share a connection; many at once have no more than there may be."""
    ports: set[int] = set()
    most = 0
    under_way = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most, under_way
        ports.add(writer.get_extra_info("peername")[1])
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.005)
                under_way -= 1
                writer.write(http(200, "ok"))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with engine(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections=4) as e:
        for _ in range(5):
            assert (await e.send(call())).body == b"ok"
        assert len(ports) == 1
        await asyncio.gather(*(e.send(call()) for _ in range(30)))
        assert len(ports) <= 4
        assert most <= 4
        assert at_rest(e)
    server.close()


async def test_a_connection_that_the_peer_closed_is_not_used(engine: MakeEngine) -> None:
    """A peer that closes after each answer costs no call, reads and writes alike."""
    async with scripted(lambda _: http(200), close_after=True) as upstream, engine(upstream.url) as e:
        for reads in (True, False, True):
            await asyncio.sleep(0.02)
            assert (await e.send(call(reads=reads))).status == 200
    assert len(upstream.requests) == 3


async def test_a_read_that_met_a_closed_connection_goes_out_again() -> None:
    """Where the peer closes as the request arrives, a read is sent anew once, and a write never is."""
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answers in range(2):
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            seen.append(answers)
            if answers:
                break
            writer.write(http(200))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with Http1Engine(
        {System.RPM: f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}, {System.RPM: Limits(1)}
    ) as e:
        await e.send(call())
        assert (await e.send(call())).status == 200
        assert seen == [0, 1, 0]
        with pytest.raises(OutcomeUnknown):
            await e.send(call(reads=False))
        assert seen == [0, 1, 0, 1]
        assert at_rest(e)
    server.close()


@pytest.mark.parametrize(
    ("answer", "read_error"),
    [
        (b"", Unavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", Unavailable),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Unavailable),
        (b"nonsense\r\n\r\n", BadResponse),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", BadResponse),
        (http(200, b"x", "Content-Encoding: gzip"), BadResponse),
    ],
    ids=["nothing", "cut", "cut chunk", "no HTTP", "two lengths", "no gzip"],
)
async def test_broken_answers(engine: MakeEngine, answer: bytes, read_error: type[Exception]) -> None:
    """A cut answer is UPSTREAM_UNAVAILABLE, one that is no HTTP UPSTREAM_BAD_RESPONSE; a write's is unknown."""
    async with scripted(lambda _: answer, close_after=True) as upstream, engine(upstream.url) as e:
        with pytest.raises(read_error):
            await e.send(call())
        with pytest.raises(OutcomeUnknown):
            await e.send(call(reads=False))
        await asyncio.sleep(0.01)
        assert at_rest(e)


async def test_a_write_that_found_no_connection_had_no_effect(engine: MakeEngine) -> None:
    """Where no byte was sent a write is UPSTREAM_UNAVAILABLE, not unknown."""
    async with scripted(lambda _: b"") as upstream:
        gone = upstream.url
    async with engine(gone) as e:
        with pytest.raises(Unavailable):
            await e.send(call(reads=False))
        assert at_rest(e)


@pytest.mark.parametrize("reads", [True, False])
async def test_a_deadline_that_has_passed(engine: MakeEngine, reads: bool) -> None:
    """A call whose deadline is over is not sent, and so a write had no effect."""
    async with scripted(lambda _: http(200)) as upstream:
        async with engine(upstream.url) as e:
            with pytest.raises(TimedOut):
                await e.send(call(reads=reads, within_s=-1))
        assert upstream.requests == []


async def test_a_call_that_waits_for_a_slot_is_not_sent_late(engine: MakeEngine) -> None:
    """With all slots taken, a write that runs out of time was not sent, and never will be."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(0.1)
        return http(200)

    async with scripted(slow) as upstream:
        async with engine(upstream.url, connections=1) as e:
            first = asyncio.create_task(e.send(call("/first", reads=False)))
            await asyncio.sleep(0.01)
            with pytest.raises(TimedOut):
                await e.send(call("/second", reads=False, within_s=0.02))
            assert (await first).status == 200
            await asyncio.sleep(0.05)
            assert at_rest(e)
        assert upstream.requests == ["POST /first"]


async def test_a_read_that_is_not_answered_in_time(engine: MakeEngine) -> None:
    """A read ends at its deadline, whether the answer has begun or not."""

    async def half(_: str) -> bytes:
        await asyncio.sleep(0.01)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"

    async with scripted(half) as upstream, engine(upstream.url) as e:
        with pytest.raises(TimedOut):
            await e.send(call(within_s=0.1))


async def test_a_write_that_is_not_answered_is_unknown(
    engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """A write that was sent is not broken off: its caller is told, its answer awaited, and the slot comes back."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(0.1)
        return http(201)

    async with scripted(slow) as upstream, engine(upstream.url, connections=1) as e:
        with pytest.raises(OutcomeUnknown):
            await e.send(call(reads=False, within_s=0.05))
        assert (await e.send(call())).status == 201
        assert at_rest(e)
    assert len(upstream.requests) == 2
    assert "a write that nobody waits for any more: answered 201" in caplog.text


async def test_cancelled_and_late_calls_leave_the_pool_whole(engine: MakeEngine) -> None:
    """After seconds of random cancels and deadlines plain calls all succeed, and nothing is left behind."""
    dice = random.Random(7)  # noqa: S311  # the same disorder every time

    async def slow(request: str) -> bytes:
        if "slow" in request:
            await asyncio.sleep(dice.random() * 0.02)
        return http(200, "x" * dice.randrange(1000))

    async with scripted(slow) as upstream, engine(upstream.url, connections=5) as e:
        for _ in range(40):
            tasks = [
                asyncio.create_task(e.send(call("/slow", within_s=dice.random() * 0.05, reads=dice.random() < 0.8)))
                for _ in range(20)
            ]
            await asyncio.sleep(dice.random() * 0.02)
            for task in tasks:
                if dice.random() < 0.5:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        answers = await asyncio.gather(*(e.send(call("/fast")) for _ in range(20)))
        assert [answer.status for answer in answers] == [200] * 20
        async with asyncio.timeout(2):
            while not at_rest(e):  # noqa: ASYNC110  # an engine at rest tells nobody
                await asyncio.sleep(0.01)


async def test_closing_does_not_wait_for_calls_under_way(engine: MakeEngine) -> None:
    """An engine that is closed drops its connections, whatever is under way on them or waits behind it."""

    async def hang(_: str) -> bytes:
        await asyncio.sleep(5)
        return b""

    loop = asyncio.get_running_loop()
    async with scripted(hang) as upstream:
        async with engine(upstream.url, connections=1) as e:
            calls = [asyncio.create_task(e.send(call(within_s=60))) for _ in range(3)]
            await asyncio.sleep(0.05)
            started = loop.time()
        assert loop.time() - started < 3
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def test_secrets_stay_out_of_reprs() -> None:
    """Neither a call nor its credential shows the secret or the body."""
    assert "secret" not in repr(call(body=b"secret"))


async def test_httpx_takes_a_transport() -> None:
    """Tests and special networks bring their own transport; the headers that are read come back in lower case."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            201, json=[request.headers["RpmApiKey"], request.content.decode()], headers={"ETag": "z", "X-Y": "z"}
        )

    transports = {System.RPM: httpx.MockTransport(answer)}
    async with HttpxEngine({System.RPM: "https://rpm.example"}, {System.RPM: Limits(1)}, transports) as e:
        got = await e.send(call(body=b"hello"))
    assert (got.status, got.body, got.headers) == (201, b'["secret","hello"]', {"etag": "z"})


async def test_no_cookie_is_kept(engine: MakeEngine) -> None:
    """What one answer sets, no other call sends: callers do not meet in a cookie jar."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                heads.append(head.decode().lower())
                writer.write(http(200, b"", "Set-Cookie: session=1"))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with engine(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as e:
        await e.send(call())
        await e.send(call())
    server.close()
    assert len(heads) == 2
    assert not any("cookie" in head for head in heads)


async def test_closing_lets_a_write_be_answered(engine: MakeEngine) -> None:
    """What is under way when an engine closes has a moment to end."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(0.1)
        return http(201)

    async with scripted(slow) as upstream:
        async with engine(upstream.url) as e:
            write = asyncio.create_task(e.send(call(reads=False)))
            await asyncio.sleep(0.02)
        assert (await write).status == 201


async def test_a_cancelled_call_that_was_not_sent_is_never_sent(engine: MakeEngine) -> None:
    """A call that is cancelled while it waits for its turn leaves the queue."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(0.05)
        return http(200)

    async with scripted(slow) as upstream:
        async with engine(upstream.url, connections=1) as e:
            first = asyncio.create_task(e.send(call("/first")))
            await asyncio.sleep(0.01)
            second = asyncio.create_task(e.send(call("/second", reads=False)))
            await asyncio.sleep(0.01)
            second.cancel()
            await first
            assert (await e.send(call("/third"))).status == 200
        assert upstream.requests == ["POST /first", "POST /third"]


async def test_a_handed_in_transport_may_have_sent() -> None:
    """Where nothing tells what was sent, a write that is late is unknown."""

    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.2)
        return httpx.Response(200)

    transports = {System.RPM: httpx.MockTransport(hang)}
    async with HttpxEngine({System.RPM: "https://rpm.example"}, {System.RPM: Limits(1)}, transports) as e:
        with pytest.raises(OutcomeUnknown):
            await e.send(call(reads=False, within_s=0.05))


async def test_httpx_goes_through_a_proxy() -> None:
    """Where a proxy leads to a system, the whole URL is what it is asked for."""
    async with scripted(lambda _: http(200)) as proxy:
        engine = HttpxEngine(
            {System.RPM: "http://rpm.example/base"}, {System.RPM: Limits(1)}, proxies={System.RPM: proxy.url}
        )
        async with engine as e:
            assert (await e.send(call())).status == 200
    assert proxy.requests == ["POST http://rpm.example/base/x"]
