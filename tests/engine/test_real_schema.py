"""The gateway's own schema: the engine and graphql-core say the same, whichever of the systems fail."""

import asyncio
import gc
import json
import weakref
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import queries

from peoplegraph.access.caller import Caller
from peoplegraph.backends import BACKENDS
from peoplegraph.context import Context, ways_to
from peoplegraph.engine import Engine
from peoplegraph.errors import Unavailable
from peoplegraph.sandbox import Sandbox
from peoplegraph.sandbox.http import Request
from peoplegraph.schema import build_schema, print_schema
from peoplegraph.scopes import Scope
from peoplegraph.settings import Settings
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call
from tests.engine.parity import assert_equal, is_valid
from tests.engine.test_parity import GENERATED
from tests.test_docs import EXAMPLES

SCHEMA = build_schema()
STATES = st.fixed_dictionaries({system: st.sampled_from(["well", "well", "down", "garbage"]) for system in System})

EVERYBODY = Caller("everybody", "open", frozenset(Scope))


@pytest.fixture(scope="module")
def context() -> Callable[..., Context]:
    """Make contexts whose calls the emulated systems answer, without a network."""
    sandbox = Sandbox()
    systems = {system.name: system for system in sandbox.systems}
    blocks: dict[str, Any] = {
        name.lower(): {"url": "http://127.0.0.1:9", **system.settings} for name, system in systems.items()
    }
    gateway = Settings.load(_env_file=None, **blocks, current_assignee="key-owner")

    def make(states: dict[System, str] | None = None) -> Context:
        async def send(call: Call) -> Answer:
            await asyncio.sleep(0)
            match (states or {}).get(call.system, "well"):
                case "down":
                    raise Unavailable(call.system, "down")
                case "garbage":
                    return Answer(200, {}, b"garbage")
            path, _, query = call.target.partition("?")
            headers = {call.credential.header.lower(): call.credential.secret}
            segments = tuple(unquote(segment) for segment in path.split("/")[1:])
            request = Request(call.method, call.target, segments, dict(parse_qsl(query)), headers, call.body or b"")
            reply = systems[call.system.name].answer(request)
            return Answer(reply.status, {}, json.dumps(reply.document).encode() if reply.has_body else b"")

        deadline = asyncio.get_running_loop().time() + 30
        return Context(
            ways=ways_to(BACKENDS, gateway),
            send=send,
            settings=gateway,
            caller=EVERYBODY,
            caller_headers={},
            deadline=deadline,
            request_id="x",
        )

    return make


@pytest.mark.parametrize("text", [query for query, _ in EXAMPLES if not query.startswith("mutation")])
async def test_the_readmes_queries(context: Callable[..., Context], text: str) -> None:
    """The README's queries, with all systems well, and with each of them down."""
    for down in (None, *System):
        await assert_equal(SCHEMA, text, lambda down=down: context({down: "down"}))  # type: ignore[misc]


LIST = """{
  assignees(first: 200) { totalCount pageInfo { hasNextPage endCursor } edges { cursor node { id } }
    nodes { id system assigneeId displayName phoneNumbers { kind number typeCode } createdAt active
      department { code defaultAssignee { email } assignees(first: 2) { nodes { email } } } address { city }
      counterparts { __typename id } } }
  representatives(references: ["REP-001", "NOBODY", "REP-001"]) { name supervisor { name } assignee { email }
    accounts(first: 2) { nodes { number } pageInfo { hasNextPage } } customFields }
  reps(repIds: [1001, 1002]) { name relationship agency { name } fields { name value } counterparts { id } }
  node(id: "QXNzaWduZWU6YXNnLTAwMjE") { id ... on Assignee { email } }
}"""


async def test_a_request_goes_with_its_answer(context: Callable[..., Context]) -> None:
    """What a request has loaded is freed as it ends: nothing of it waits for the garbage collector."""
    engine = Engine(SCHEMA)
    gc.disable()
    try:
        for _ in range(2):
            carried = context()
            gone = weakref.ref(carried)
            result = await engine.run(engine.documents.get(LIST).operation(None), {}, carried)
            assert result.errors == []
            del carried, result
            await asyncio.sleep(0)  # for the last callbacks
        assert gone() is None
    finally:
        gc.enable()


@settings(max_examples=20)
@given(STATES)
async def test_a_large_query(context: Callable[..., Context], states: dict[System, str]) -> None:
    """Most of what there is, whatever the systems do."""
    await assert_equal(SCHEMA, LIST, lambda: context(states))


@settings(GENERATED, max_examples=600)
@given(queries(print_schema()), STATES)
async def test_generated_queries(context: Callable[..., Context], text: str, states: dict[System, str]) -> None:
    """Queries over the whole schema that hypothesis makes up."""
    assume(is_valid(SCHEMA, text))
    await assert_equal(SCHEMA, text, lambda: context(states))
