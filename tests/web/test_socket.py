"""GraphQL over WebSockets: the same operations and credentials as over HTTP, in the protocol's messages."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from peoplegraph.access.api_keys import new_key
from peoplegraph.sandbox import Sandbox
from peoplegraph.scopes import Scope
from tests.scripted import http, scripted
from tests.web.sockets import ANSWER, QUERY, Serve, ask, closed, dial, greet, hear, say


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
