"""What WebSockets may take: connections, operations, rates, time, and what is sent and never read."""

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from peoplegraph.access.api_keys import new_key
from peoplegraph.scopes import DATA
from tests.scripted import http, scripted
from tests.web.sockets import ANSWER, QUERY, Serve, ask, closed, dial, greet, say


async def test_connections_per_caller(serve: Serve) -> None:
    """Beyond its number a caller's connection is closed, and another one's is not; one that ends makes room."""
    pairs = [new_key(), new_key()]
    keys = [{"name": str(i), "sha256": sha, "scopes": list(DATA)} for i, (_, sha) in enumerate(pairs)]
    first, second = ({"Authorization": f"Bearer {key}"} for key, _ in pairs)
    async with (
        serve(caller_sockets=2, api_keys=keys) as url,
        dial(url) as one,
        dial(url) as two,
        dial(url) as three,
        dial(url) as other,
    ):
        await greet(one, **first)
        await greet(two, **first)
        await say(three, type="connection_init", payload=first)
        assert await closed(three) == 4429
        await greet(other, **second)
        await one.close()
        await asyncio.sleep(0.05)
        async with dial(url) as again:
            await greet(again, **first)
    async with serve(caller_sockets=0) as url:
        with pytest.raises(InvalidStatus):
            async with dial(url):
                pass


async def test_operations_per_connection(serve: Serve) -> None:
    """Too many at once close the connection, and so does an id that is in use."""
    release = asyncio.Event()

    async def slow(_: str) -> bytes:
        await release.wait()
        return http(200, '{"name": "n"}')

    async with scripted(slow) as upstream, serve(collections={"url": upstream.url}, max_socket_operations=3) as url:
        for names, code in ((["1", "2", "3", "4"], 4429), (["1", "1"], 4409)):
            async with dial(url) as client:
                await greet(client)
                for name in names:
                    await say(client, id=name, type="subscribe", payload={"query": QUERY})
                assert await closed(client) == code
        release.set()


async def test_a_flood_of_pings(serve: Serve) -> None:
    """Who pings and never reads the answers is cut off before they fill the memory."""
    async with serve() as url:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(url.split(":")[2].split("/")[0]), limit=1000
        )
        writer.write(
            b"GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
        )
        assert b"101" in await reader.readline()
        ping = b"\x89\xfd\0\0\0\0" + b"x" * 125

        async def flood() -> None:
            while True:
                writer.write(ping * 1000)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(flood(), 20)
        writer.close()


async def test_an_idle_connection_is_closed(serve: Serve) -> None:
    """Not while an operation is under way, and a while after it."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(0.7)
        return http(200, '{"reference": "REP-001"}')

    async with (
        scripted(slow) as upstream,
        serve(collections={"url": upstream.url}, socket_idle_s=0.3) as url,
        dial(url) as client,
    ):
        await greet(client)
        assert await ask(client, QUERY) == ANSWER
        assert await closed(client) == 1001


async def test_rates_hold_for_each_operation(serve: Serve) -> None:
    """An operation beyond its caller's rate is an error of its own."""
    async with serve(caller_requests_per_second=2) as url, dial(url) as client:
        await greet(client)
        assert await ask(client, QUERY) == ANSWER
        assert await ask(client, QUERY) == ANSWER
        (error,) = await ask(client, QUERY)
        assert error["extensions"]["code"] == "RATE_LIMITED"
