"""How a gateway that runs has other settings: by SIGHUP, and by a change of their file."""

import asyncio
import json
import signal
from pathlib import Path

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from peoplegraph.scopes import Scope
from tests.access.callers import entry
from tests.observe.processes import QUERY, Served, ask, serving


async def test_settings_are_read_anew(environment: dict[str, str], tmp_path: Path) -> None:
    """On SIGHUP, and when their file changes, keys and limits change; of what cannot, the log says so."""
    config = tmp_path / "config.toml"
    (first, known), (second, other) = (
        entry("first", Scope.REPRESENTATIVES_READ),
        entry("second", Scope.REPRESENTATIVES_READ),
    )

    def write(digest: str, *more: str) -> None:
        key = f'[[api_keys]]\nname = "x"\nsha256 = "{digest}"\nscopes = ["representatives:read"]\n'
        config.write_text("\n".join([*more, key]), encoding="utf-8")

    write(known["sha256"])
    async with (
        serving(**environment, PEOPLEGRAPH_CONFIG=str(config)) as served,
        httpx.AsyncClient(base_url=served.url) as client,
    ):
        assert (await ask(client, authorization=f"Bearer {first}")).status_code == 200
        write(other["sha256"], "max_depth = 1", "deadline_s = 5")
        served.process.send_signal(signal.SIGHUP)
        await served.event("the settings are read anew")
        assert (await ask(client, authorization=f"Bearer {first}")).status_code == 401
        reply = await ask(client, authorization=f"Bearer {second}")
        assert "fields deep" in reply.json()["errors"][0]["message"]
        assert await served.event("it takes a restart to change PEOPLEGRAPH_DEADLINE_S")
        served.events.clear()
        write(known["sha256"])
        await served.event("the settings are read anew")
        assert (await ask(client, authorization=f"Bearer {first}")).json()["data"] == {
            "representative": {"reference": "REP-021"}
        }
        config.write_text("max_depth = 0", encoding="utf-8")
        assert "MAX_DEPTH" in (await served.event("the settings stay as they were"))["event"]
        assert (await ask(client, authorization=f"Bearer {first}")).status_code == 200


async def test_a_key_that_is_revoked_ends_on_websockets_too(environment: dict[str, str], tmp_path: Path) -> None:
    """Who is connected asks by the settings of the time: a key that is gone is refused, another limit holds."""
    config = tmp_path / "config.toml"
    (key, known), (_, other) = (entry(name, Scope.REPRESENTATIVES_READ) for name in ("first", "second"))

    def write(digest: str) -> None:
        config.write_text(
            f'[[api_keys]]\nname = "x"\nsha256 = "{digest}"\nscopes = ["representatives:read"]\n', encoding="utf-8"
        )

    write(known["sha256"])
    async with serving(**environment, PEOPLEGRAPH_CONFIG=str(config)) as served:
        url = served.url.replace("http", "ws") + "/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send(
                json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {key}"}})
            )
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            subscribe = {"type": "subscribe", "id": "1", "payload": {"query": QUERY}}
            await socket.send(json.dumps(subscribe))
            assert json.loads(await socket.recv())["type"] == "next"
            assert json.loads(await socket.recv())["type"] == "complete"
            write(other["sha256"])
            served.process.send_signal(signal.SIGHUP)
            await served.event("the settings are read anew")
            await socket.send(json.dumps(subscribe))
            refused = json.loads(await socket.recv())
    assert refused["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_websockets_messages_may_be_as_large_as_a_body(environment: dict[str, str], tmp_path: Path) -> None:
    """Whoever connects is held to the size that holds by then, be it larger or smaller than before."""
    config = tmp_path / "config.toml"
    config.write_text("max_body_bytes = 2000", encoding="utf-8")
    query = QUERY + "#" * 3000
    async with serving(**environment, PEOPLEGRAPH_CONFIG=str(config)) as served:
        assert await sent(served, query) == 1009
        for size, code in ((4000, None), (2500, 1009)):
            served.events.clear()
            config.write_text(f"max_body_bytes = {size}", encoding="utf-8")
            served.process.send_signal(signal.SIGHUP)
            await served.event("the settings are read anew")
            assert await sent(served, query) == code


async def sent(served: Served, query: str) -> int | None:
    """Ask over a new WebSocket; return the code that it is closed with for that, if it is."""
    url = served.url.replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send('{"type": "connection_init"}')
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
        try:
            assert json.loads(await socket.recv())["type"] == "next"
        except ConnectionClosed:
            return socket.close_code
    return None


async def test_no_request_is_dropped_while_settings_change(environment: dict[str, str], tmp_path: Path) -> None:
    """Whatever is under way while settings are read anew is answered as if they were not."""
    config = tmp_path / "config.toml"
    config.write_text("max_depth = 20", encoding="utf-8")
    async with (
        serving(**environment, PEOPLEGRAPH_CONFIG=str(config)) as served,
        httpx.AsyncClient(base_url=served.url) as client,
    ):

        async def keep_asking() -> None:
            for _ in range(60):
                assert (await ask(client)).json() == {"data": {"representative": {"reference": "REP-021"}}}

        async def keep_changing() -> None:
            for depth in range(10, 20):
                config.write_text(f"max_depth = {depth}", encoding="utf-8")
                served.process.send_signal(signal.SIGHUP)
                await asyncio.sleep(0.05)

        await asyncio.gather(keep_changing(), *(keep_asking() for _ in range(4)))
