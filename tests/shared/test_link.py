"""The connections to the store."""

import asyncio

import pytest

from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.shared.link import Down, connected, reasons
from tests.gateway import running_gateway, settings_for
from tests.shared.store import KEY, Store


async def test_who_takes_a_connection_and_says_nothing_is_given_up() -> None:
    """What is said to begin with, the password first, is not waited for without end."""
    heard = asyncio.Event()
    release = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"AUTH" in await reader.read(1000)
        heard.set()
        await release.wait()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            async with connected(f"redis://:word@127.0.0.1:{port}/0"):
                pass
        assert heard.is_set()
        release.set()


@pytest.mark.parametrize("command", [("GET", "x", "y"), ("EVALSHA", "0" * 40, 0)])
async def test_a_connection_ends_where_the_store_refuses(store: Store, command: tuple[str | int, ...]) -> None:
    """What it does not take may be what others must know; and scripts are loaded once for each connection."""
    async with connected(store.url) as (line, _):
        running = asyncio.create_task(line.run())
        with pytest.raises(Down, match="the store refuses"):
            await line.ask(*command)
        with pytest.raises(ExceptionGroup) as ended:
            await running
        assert [type(each) for each in reasons(ended.value)] == [Down]


async def test_the_password_is_not_in_the_log(
    sandbox: Sandbox, blocks: Blocks, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that repeats what it does not know is not quoted."""

    async def parrot(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            said = " ".join(data.decode().split())
            writer.write(f"-ERR unknown command, with args beginning with: {said}\r\n".encode() * data.count(b"*"))
        writer.close()

    async with await asyncio.start_server(parrot, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        shared = {"url": f"redis://:secret-word@127.0.0.1:{port}/0", "key": KEY}
        async with running_gateway(settings_for(blocks, shared=shared), sandbox) as gateway:
            assert (await gateway.fetch("/readyz")).json()["shared"] == "down"
    assert "the shared store is not there" in caplog.text
    assert "secret-word" not in caplog.text
