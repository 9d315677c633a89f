"""The httpx engine, over transports and sockets that misbehave."""

import asyncio

import httpx
import pytest

from peoplegraph.errors import OutcomeUnknown, TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.call import Call, Credential
from peoplegraph.upstream.httpx_engine import HttpxEngine
from tests.scripted import http, scripted


def call(target: str = "/x", *, reads: bool = True, within_s: float = 5, body: bytes | None = None) -> Call:
    """Return a call to RPM."""
    return Call(
        system=System.RPM,
        method="POST",
        target=target,
        credential=Credential("RpmApiKey", "secret"),
        deadline=asyncio.get_running_loop().time() + within_s,
        reads=reads,
        safe_to_retry=reads,
        body=body,
    )


def engine(base: str, transport: httpx.AsyncBaseTransport | None = None, connections: int = 10) -> HttpxEngine:
    """Return an engine with one system."""
    transports = {System.RPM: transport} if transport else None
    return HttpxEngine({System.RPM: base}, {System.RPM: connections}, transports)


async def test_the_target_stays_as_it_was_encoded() -> None:
    """What is percent-encoded, dots included, is sent byte for byte below the base's path."""
    target = "/a%2Fb/%2E%2E/%25?q=%20"
    async with scripted(lambda _: http(200)) as upstream, engine(f"{upstream.url}/base") as e:
        await e.send(call(target))
    assert upstream.requests == [f"POST /base{target}"]


async def test_a_transport_can_be_handed_in() -> None:
    """Tests and special networks bring their own transport; headers come back in lower case."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            201, json=[request.headers["RpmApiKey"], request.content.decode()], headers={"X-Y": "z"}
        )

    async with engine("https://rpm.example", httpx.MockTransport(answer)) as e:
        got = await e.send(call(body=b"hello"))
    assert (got.status, got.body, got.headers["x-y"]) == (201, b'["secret","hello"]', "z")


async def test_no_cookie_is_kept() -> None:
    """What one answer sets, no other call sends: callers do not meet in a cookie jar."""
    cookies: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"Set-Cookie": "session=1"})

    async with engine("https://rpm.example", httpx.MockTransport(answer)) as e:
        await e.send(call())
        await e.send(call())
    assert cookies == [None, None]


async def test_secrets_stay_out_of_reprs() -> None:
    """Neither a call nor its credential shows the secret or the body."""
    assert "secret" not in repr(call(body=b"secret"))


async def test_giving_up_leaves_the_pool_whole() -> None:
    """Calls given up or cancelled in flight, many at once, do not cost the pool a connection."""

    async def slow(request: str) -> bytes:
        if "slow" in request:
            await asyncio.sleep(0.05)
        return http(200)

    async with scripted(slow) as upstream, engine(upstream.url, connections=5) as e:
        for _ in range(5):
            tasks = [asyncio.create_task(e.send(call("/slow", within_s=0.01 * (n % 3)))) for n in range(20)]
            await asyncio.sleep(0.01)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        answers = await asyncio.gather(*(e.send(call("/fast")) for _ in range(20)))
        assert [answer.status for answer in answers] == [200] * 20
        await asyncio.sleep(0)  # for the callbacks of the last calls
        assert repr(e) == "<HttpxEngine RPM: 0 in flight>"


@pytest.mark.parametrize("reads", [True, False])
async def test_a_deadline_that_has_passed(reads: bool) -> None:
    """A call whose deadline is over is not sent, and so a write had no effect."""
    async with scripted(lambda _: http(200)) as upstream:
        async with engine(upstream.url) as e:
            with pytest.raises(TimedOut):
                await e.send(call(reads=reads, within_s=-1))
        assert upstream.requests == []


async def test_a_call_that_waits_for_a_slot_is_not_sent_late() -> None:
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
        assert upstream.requests == ["POST /first"]


async def test_a_write_that_is_not_answered_is_unknown() -> None:
    """A write that was sent and not answered in time may have taken effect."""

    async def hang(_: str) -> bytes:
        await asyncio.sleep(0.2)
        return b""

    async with scripted(hang) as upstream, engine(upstream.url) as e:
        with pytest.raises(OutcomeUnknown):
            await e.send(call(reads=False, within_s=0.05))


async def test_closing_does_not_wait_for_calls_under_way() -> None:
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


async def test_a_write_that_found_no_connection_had_no_effect() -> None:
    """Where no byte was sent a write is UPSTREAM_UNAVAILABLE, not unknown."""
    async with scripted(lambda _: b"") as upstream:
        gone = upstream.url
    async with engine(gone) as e:
        with pytest.raises(Unavailable):
            await e.send(call(reads=False))
