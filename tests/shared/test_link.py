"""The connections to the store."""

import asyncio

import pytest

from peoplegraph.shared.link import Down, connected, reasons
from tests.shared.store import Store


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
