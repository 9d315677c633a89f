"""Messages that no client of graphql-transport-ws would send: each is answered, or ends its connection only."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, CloseCode
from websockets.typing import Subprotocol

from tests.fuzz.requests import ANYTHING, NESTED, RARELY, as_object, mostly, requests, spoiled
from tests.fuzz.served import (
    FORWARDED,
    KEY,
    PATIENCE_S,
    Served,
    assert_answer,
    assert_errors,
    bounded,
    serving_gateway,
    strict,
)

PROTOCOL = Subprotocol("graphql-transport-ws")
INIT = '{"type":"connection_init"}'
PING = '{"type":"ping"}'
GOOD = '{"type":"subscribe","id":"1","payload":{"query":"{ __typename }"}}'

TYPES = st.sampled_from("connection_init ping pong subscribe complete next error connection_ack start x".split())
IDS = mostly(st.sampled_from(['"1"', '"2"', '"3"']), ANYTHING)


def message(**members: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return messages with these members."""
    return st.fixed_dictionaries(members).map(lambda given: as_object(given.items()))


SUBSCRIBES = message(type=st.just('"subscribe"'), id=IDS, payload=mostly(requests(), ANYTHING | NESTED))
INITS = message(
    type=st.just('"connection_init"'),
    payload=mostly(
        st.sampled_from(["null", "{}", json.dumps({"Authorization": f"Bearer {KEY}"})]),
        ANYTHING | message(Authorization=ANYTHING),
        times=4,
    ),
)
COMPLETES = message(type=st.just('"complete"'), id=IDS)
OTHERS = message(type=TYPES.map(json.dumps) | ANYTHING, id=IDS, payload=ANYTHING)
MESSAGES: st.SearchStrategy[str | bytes] = mostly(
    st.one_of(SUBSCRIBES, SUBSCRIBES, SUBSCRIBES, COMPLETES, st.just(PING)),
    st.one_of(
        INITS,
        OTHERS,
        ANYTHING | NESTED,
        SUBSCRIBES.map(str.encode).flatmap(spoiled).map(lambda text: text.decode("utf-8", "replace")),
        st.text(max_size=20),
        st.binary(max_size=20),
    ),
)


@dataclass(slots=True)
class Heard:
    """What the gateway said on a connection."""

    texts: list[str] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    pongs: int = 0
    over: set[str] = field(default_factory=set)
    """The ids of the operations that came to an end."""

    def take(self, text: str | bytes) -> None:
        """Take a message, which has to be one of the protocol."""
        assert isinstance(text, str)
        self.texts.append(text)
        given = strict(text)
        match given["type"]:
            case "connection_ack":
                assert given == {"type": "connection_ack"}
            case "pong":
                self.pongs += 1
            case "next":
                assert_answer(given["payload"])
                self.answers.append(given["payload"])
                event("next")
            case "error":
                assert_errors(given["payload"])
                self.over.add(given["id"])
                event(f"error {given['payload'][0]['extensions']['code']}")
            case kind:
                assert kind == "complete"
                self.over.add(given["id"])


def under_way(messages: list[str | bytes]) -> set[str]:
    """Return the ids of the operations that a client has begun, and not said to be of no interest."""
    ids: set[str] = set()
    for sent in messages:
        try:
            given: Any = json.loads(sent) if isinstance(sent, str) else None
        except (ValueError, RecursionError):
            continue
        if isinstance(given, dict) and isinstance(given.get("id"), str):
            match given.get("type"):
                case "subscribe":
                    ids.add(given["id"])
                case "complete":
                    ids.discard(given["id"])
    return ids


@pytest.fixture(scope="module")
async def served(pytestconfig: pytest.Config) -> AsyncIterator[Served]:
    """Serve a gateway."""
    async with serving_gateway(deadline_s=1, upstream_engine=pytestconfig.getoption("--engine")) as served:
        yield served


async def talk(socket: ClientConnection, messages: list[str | bytes], heard: Heard) -> None:
    """Send messages, and hear what comes until all of them are dealt with. Raises `ConnectionClosed`."""
    for each in messages:
        await socket.send(each)
    await socket.send(PING)
    pings = 1 + messages.count(PING)
    waiting = under_way(messages)
    while heard.pongs < pings or not waiting <= heard.over:
        heard.take(await socket.recv())


@dataclass(frozen=True, slots=True)
class Said:
    """What a client says, and whether it then closes the connection, or is just gone."""

    messages: list[str | bytes]
    polite: bool


@st.composite
def said(draw: st.DrawFn) -> Said:
    """Make up what a client says: first who it is, but not always."""
    messages = draw(st.lists(MESSAGES, max_size=8))
    if not draw(RARELY):
        messages.insert(0, draw(mostly(st.just(INIT), INITS, times=3)))
    return Said(messages, draw(st.booleans()))


async def closed_for(socket: ClientConnection, messages: list[str | bytes], heard: Heard) -> Close | None:
    """Talk; return why the gateway closed the connection, if it did."""
    try:
        await talk(socket, messages, heard)
    except ConnectionClosed as closed:
        return closed.rcvd or Close(CloseCode.ABNORMAL_CLOSURE, "")
    return None


@bounded(150)
@given(said())
async def test_messages(served: Served, caplog: pytest.LogCaptureFixture, said: Said) -> None:
    """All are answered, or their connection is closed for what is wrong, and never for a bug; others go on."""
    await served.begin(caplog)
    heard, good = Heard(), Heard()
    url = f"ws://127.0.0.1:{served.port}/graphql"
    async with asyncio.timeout(PATIENCE_S):
        socket = await connect(url, subprotocols=[PROTOCOL], additional_headers=FORWARDED, compression=None)
        closed = await closed_for(socket, said.messages, heard)
        if closed is not None:
            event(f"{closed.code} {closed.reason}")
            assert 4400 <= closed.code < 4500 or closed.code == CloseCode.MESSAGE_TOO_BIG
            served.assert_tight(closed.reason)
        if said.polite:
            await socket.close()
        socket.transport.abort()
        async with connect(url, subprotocols=[PROTOCOL]) as another:
            await talk(another, [INIT, GOOD], good)
    assert good.answers == [{"data": {"__typename": "Query"}}]
    served.assert_tight(*heard.texts)
    await served.assert_well(caplog)
