"""GraphQL over WebSockets and events: the same operations, credentials and limits as over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from peoplegraph import create_app
from peoplegraph.access.api_keys import new_key
from peoplegraph.commands.serve import UVICORN
from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.sandbox.serving import serving
from peoplegraph.scopes import DATA, Scope
from tests.gateway import settings_for
from tests.scripted import http, scripted

PROTOCOL = "graphql-transport-ws"
QUERY = '{ representative(reference: "REP-001") { reference } }'
ANSWER = {"data": {"representative": {"reference": "REP-001"}}}

Serve = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def serve(sandbox: Sandbox, blocks: Blocks) -> Serve:
    """Serve gateways over real sockets."""
    del sandbox

    @asynccontextmanager
    async def served(**settings: Any) -> AsyncIterator[str]:
        app = create_app(settings_for(blocks, **settings))
        options = {**UVICORN, "ws_max_size": 10_000}
        async with serving((app,), "127.0.0.1", 0, lifespan="on", **options) as (server,):
            yield server.url.replace("http", "ws") + "/graphql"

    return served


def dial(url: str, protocol: str = PROTOCOL, **options: Any) -> connect:
    """Open a connection."""
    return connect(url, subprotocols=[Subprotocol(protocol)], **options)


async def say(client: ClientConnection, **message: Any) -> None:
    """Send a message."""
    await client.send(json.dumps(message))


async def hear(client: ClientConnection) -> Any:
    """Await a message."""
    return json.loads(await asyncio.wait_for(client.recv(), 5))


async def greet(client: ClientConnection, **payload: Any) -> None:
    """Say who asks, and be acknowledged."""
    await say(client, type="connection_init", **({"payload": payload} if payload else {}))
    assert await hear(client) == {"type": "connection_ack"}


async def ask(client: ClientConnection, query: str, name: str = "1", **more: Any) -> Any:
    """Ask, and return what comes for it."""
    await say(client, id=name, type="subscribe", payload={"query": query, **more})
    reply = await hear(client)
    assert reply["id"] == name
    if reply["type"] == "next":
        assert await hear(client) == {"id": name, "type": "complete"}
    return reply["payload"]


async def closed(client: ClientConnection) -> int:
    """Await the end of a connection; return its code."""
    async with asyncio.timeout(5):
        await client.wait_closed()
    return client.close_code or 0


async def test_a_query_and_a_mutation(serve: Serve) -> None:
    """Operations are answered one by one, or side by side, with the errors that they have over HTTP."""
    async with serve() as url, dial(url) as client:
        await greet(client)
        assert await ask(client, QUERY) == ANSWER
        mutation = 'mutation { deleteAssignee(by: { assigneeId: "asg-0001" }) { deleted } }'
        assert await ask(client, mutation, "m") == {"data": {"deleteAssignee": {"deleted": True}}}
        (error,) = await ask(client, "{ nope }")
        assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        (error,) = await ask(client, QUERY, variables=5)
        assert error["extensions"]["code"] == "BAD_REQUEST"
        await say(client, type="ping")
        assert await hear(client) == {"type": "pong"}
        for name in "abc":
            await say(client, id=name, type="subscribe", payload={"query": QUERY})
        heard = [await hear(client) for _ in range(6)]
        assert {each["id"] for each in heard if each["type"] == "next"} == set("abc")


@pytest.mark.parametrize(
    ("say_first", "code"),
    [
        ({"type": "subscribe", "id": "1", "payload": {"query": QUERY}}, 4401),
        ({"type": "nonsense"}, 4400),
        ({}, 4400),
        ([], 4400),
        (None, 4408),
        ({"type": "connection_init", "payload": 5}, 4400),
        ({"type": "start", "id": "1", "payload": {"query": QUERY}}, 4400),
    ],
)
async def test_who_does_not_say_who_it_is(serve: Serve, say_first: Any, code: int) -> None:
    """Nothing is executed before the connection is initialised, and it does not stay open for long without."""
    async with serve(socket_init_s=0.2) as url, dial(url) as client:
        if say_first is not None:
            await client.send(json.dumps(say_first))
        assert await closed(client) == code


async def test_credentials_are_needed_here_too(serve: Serve) -> None:
    """In the first message, or in the header of who is no browser; scopes hold for each operation."""
    key, sha = new_key()
    keys = [{"name": "x", "sha256": sha, "scopes": [Scope.REPRESENTATIVES_READ]}]
    async with serve(api_keys=keys) as url:
        for payload in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": 5}, {"authorization": key}):
            async with dial(url) as client:
                await say(client, type="connection_init", payload=payload)
                assert await closed(client) == 4403
        async with dial(url) as client:
            await greet(client, Authorization=f"Bearer {key}")
            assert await ask(client, QUERY) == ANSWER
            payload = await ask(client, "{ departments { code } }")
            assert payload["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        async with dial(url, additional_headers={"Authorization": f"Bearer {key}"}) as client:
            await greet(client)
            assert await ask(client, QUERY) == ANSWER


@pytest.mark.parametrize("protocol", ["graphql-ws", "x"])
async def test_the_legacy_protocol_is_refused(serve: Serve, protocol: str) -> None:
    """Only graphql-transport-ws is spoken; anything else is refused before it is accepted."""
    async with serve() as url:
        with pytest.raises(InvalidStatus) as refused:
            async with dial(url, protocol):
                pass
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
async def test_another_origins_page_is_refused(serve: Serve, origin: str) -> None:
    """A browser does not ask before it opens a WebSocket, so the gateway looks where the page is from."""
    async with serve(cors_origins=["https://app.example"]) as url:
        with pytest.raises(InvalidStatus):
            async with dial(url, origin=origin):
                pass
        own = url.replace("ws://", "http://").removesuffix("/graphql")
        for good in ("https://app.example", own):
            async with dial(url, origin=good) as client:
                await greet(client)
        with pytest.raises(InvalidStatus):
            async with dial(url, additional_headers={"Host": "evil.example"}):
                pass


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


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "5",
        "[]",
        '"x"',
        '{"type": 5}',
        '{"type": "connection_init"}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": 5}',
        '{"type": "subscribe", "id": ""}',
        '{"type": "subscribe", "id": "%s"}' % ("x" * 101),
        "[" * 5_000,
        b"\x00\xff",
        "x" * 20_000,
    ],
)
async def test_what_is_no_message(serve: Serve, message: Any) -> None:
    """Whatever is sent, the connection is closed with one of the protocol's codes, and the gateway goes on."""
    async with serve() as url:
        async with dial(url) as client:
            await greet(client)
            await client.send(message)
            assert await closed(client) in (4400, 4429, 1009)
        async with dial(url) as client:
            await greet(client)
            assert await ask(client, QUERY) == ANSWER


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


async def test_whoever_is_let_in_no_more(serve: Serve, tmp_path: Path) -> None:
    """Each operation is asked for anew who asks: a key that is taken back is no good on an open connection."""
    key, sha = new_key()
    path = tmp_path / "keys.toml"
    path.write_text(f'[[api_keys]]\nname = "x"\nsha256 = "{sha}"\nscopes = ["representatives:read"]\n')
    async with serve(keys_file=path) as url, dial(url) as client:
        await greet(client, Authorization=f"Bearer {key}")
        assert await ask(client, QUERY) == ANSWER
        path.write_text("")
        async with asyncio.timeout(5):
            while (payload := await ask(client, QUERY)) == ANSWER:  # noqa: ASYNC110  # a file has no event
                await asyncio.sleep(0.05)
        assert payload[0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_an_id_that_is_used_again(serve: Serve) -> None:
    """The result of an operation that nobody wants any more is not taken for that of another one by its name."""

    async def slow(request: str) -> bytes:
        await asyncio.sleep(0.3 if request.startswith("PATCH") else 0.6)
        return http(200, '{"reference": "REP-001"}')

    mutation = 'mutation { updateRepresentative(reference: "A", input: {}) { created } }'
    async with scripted(slow) as upstream, serve(collections={"url": upstream.url}) as url, dial(url) as client:
        await greet(client)
        await say(client, id="1", type="subscribe", payload={"query": mutation})
        await asyncio.sleep(0.1)
        await say(client, id="1", type="complete")
        assert await ask(client, QUERY) == ANSWER


async def test_writes_are_finished_before_the_gateway_ends(serve: Serve) -> None:
    """Who ends the gateway in the middle of a write over a WebSocket does not cut it short."""
    asked: list[str] = []

    async def slow(request: str) -> bytes:
        asked.append(request.split(" ", 1)[0])
        await asyncio.sleep(0.4)
        return http(200, '{"name": "n"}')

    mutation = """mutation { a: updateRepresentative(reference: "A", input: {}) { created }
      b: updateRepresentative(reference: "B", input: {}) { created } }"""
    async with scripted(slow) as upstream:
        async with serve(collections={"url": upstream.url}) as url:
            client = await dial(url)
            await greet(client)
            await say(client, id="1", type="subscribe", payload={"query": mutation})
            async with asyncio.timeout(5):
                while not asked:  # noqa: ASYNC110  # the upstream has no event
                    await asyncio.sleep(0.01)
        assert asked == ["PATCH", "PATCH"]
        await client.close()


async def test_rates_hold_for_each_operation(serve: Serve) -> None:
    """An operation beyond its caller's rate is an error of its own."""
    async with serve(caller_requests_per_second=2) as url, dial(url) as client:
        await greet(client)
        assert await ask(client, QUERY) == ANSWER
        assert await ask(client, QUERY) == ANSWER
        (error,) = await ask(client, QUERY)
        assert error["extensions"]["code"] == "RATE_LIMITED"


async def test_a_mutation_is_not_cut_short(serve: Serve, sandbox: Sandbox) -> None:
    """Who hangs up, or completes it, in the middle of a write does not leave half of it; a query is given up."""
    began = asyncio.Event()
    asked: list[str] = []

    async def slow(request: str) -> bytes:
        asked.append(request.split(" ", 1)[0])
        began.set()
        await asyncio.sleep(0.3)
        return http(200, '{"name": "n"}')

    sandbox.ledger.calls.clear()
    mutation = """mutation { a: updateRepresentative(reference: "A", input: { name: "n" }) { errors { message } }
      b: updateRepresentative(reference: "B", input: { name: "n" }) { errors { message } } }"""
    async with scripted(slow) as upstream, serve(collections={"url": upstream.url}) as url:
        for leave in (False, True):
            asked.clear()
            began.clear()
            async with dial(url) as client:
                await greet(client)
                await say(client, id="1", type="subscribe", payload={"query": mutation})
                await asyncio.wait_for(began.wait(), 5)
                if leave:
                    await say(client, id="1", type="complete")
                    await asyncio.sleep(0.7)
            await asyncio.sleep(0 if leave else 0.7)
            assert asked == ["PATCH", "PATCH"]


# events


async def test_events(serve: Serve) -> None:
    """Who accepts `text/event-stream` gets the result as an event, and the end as another."""
    async with serve() as url, httpx.AsyncClient() as client:
        at = url.replace("ws://", "http://")
        reply = await client.post(at, json={"query": QUERY}, headers={"accept": "text/event-stream"})
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        event, complete, end = reply.text.split("\n\n")
        assert event.startswith("event: next\ndata: ")
        assert json.loads(event.removeprefix("event: next\ndata: ")) == ANSWER
        assert (complete, end) == ("event: complete\ndata:", "")
        reply = await client.post(at, json={"query": "{ nope }"}, headers={"accept": "text/event-stream"})
        assert "GRAPHQL_VALIDATION_FAILED" in reply.text
        for headers in ({"content-type": "text/plain"}, {"content-type": "application/json", "x-deadline-ms": "x"}):
            refused = await client.post(
                at, content=json.dumps({"query": QUERY}), headers={"accept": "text/event-stream", **headers}
            )
            assert refused.status_code == 400
            assert refused.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
        both = await client.post(
            at, json={"query": QUERY}, headers={"accept": "application/json, text/event-stream;q=0.5"}
        )
        assert both.json() == ANSWER
