"""The client's side of graphql-transport-ws, message by message."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

PROTOCOL = "graphql-transport-ws"
QUERY = '{ representative(reference: "REP-001") { reference } }'
ANSWER = {"data": {"representative": {"reference": "REP-001"}}}

Serve = Callable[..., AbstractAsyncContextManager[str]]
"""Serves a gateway with other settings, and returns the URL of its WebSockets."""


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
