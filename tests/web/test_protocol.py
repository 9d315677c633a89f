"""GraphQL over HTTP: media types, methods, bodies and their bounds."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peoplegraph import create_app
from peoplegraph.commands.serve import UVICORN
from peoplegraph.sandbox import Blocks
from peoplegraph.sandbox.serving import serving
from peoplegraph.web.protocol import GRAPHQL, JSON, RequestError, decoded, media_type
from tests.conftest import MakeGateway
from tests.gateway import Gateway, settings_for


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/graphql-response+json, application/json, text/event-stream, multipart/mixed", GRAPHQL),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL),
        ("application/graphql-response+json, application/json", GRAPHQL),
        ("application/json, application/graphql-response+json", GRAPHQL),
        ("application/graphql-response+json;q=0.5, application/json", JSON),
        ("application/json;q=0.9, application/graphql-response+json;q=0.8", JSON),
        ("APPLICATION/GraphQL-Response+JSON; charset=UTF-8", GRAPHQL),
        ("application/graphql-response+json, */*;q=0.1", GRAPHQL),
        ("text/html, */*;q=0.8", JSON),
        ("application/json;q=0, */*", GRAPHQL),
        ("application/json; charset=latin-1, application/graphql-response+json", GRAPHQL),
    ],
)
def test_what_a_client_prefers(accept: str, kind: str) -> None:
    """The heavier type wins, of two as heavy the newer; who does not say gets JSON."""
    assert media_type(accept) == kind


ODD = {
    "12345678901234567890123456789": 12345678901234567890123456789,
    "-0": 0,
    "1E400": float("inf"),
    '{"a": 1, "a": 2}': {"a": 2},
    '"\\ud800"': "\ud800",
    '"\\u0000\\/"': "\0/",
    " [1.0, 1e2, true, null]\n": [1.0, 100.0, True, None],
}
BROKEN = ["", "nul", "NaN", "-Infinity", "[1,]", "{'a': 1}", '"\t"', "01", "[" * 200_000, "{}{}", "\ufeff{}"]


@pytest.mark.parametrize(("text", "value"), ODD.items())
def test_json_at_its_edges(text: str, value: object) -> None:
    """Large numbers keep their digits, and text that is odd stays as it is."""
    assert (decoded(text), decoded(text.encode())) == (value, value)
    assert type(decoded(text)) is type(value)


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_json(text: str) -> None:
    """Neither what Python's decoder would let pass nor what would break it."""
    for sent in (text, text.encode(), text.encode() + b"\xff"):
        with pytest.raises(RequestError, match="cannot be parsed"):
            decoded(sent)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.booleans())
def test_json_is_what_the_standard_library_says(value: object, ascii_only: bool) -> None:
    """Whichever decoder takes it."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    got = decoded(text)
    assert (got, repr(got)) == (value, repr(json.loads(text)))


@pytest.mark.parametrize("accept", ["text/plain", "application/json;q=0", "*/*;q=0", "image/png, text/html", "x"])
def test_what_cannot_be_had(accept: str) -> None:
    """A client that takes neither gets a 406."""
    with pytest.raises(RequestError) as error:
        media_type(accept)
    assert error.value.status == 406


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"query": "{ __typename }"}, 200),
        ({"query": "{"}, 400),
        ({"query": "{ nope }"}, 400),
        ({"query": "query ($i: Int!) { __typename }", "variables": {}}, 400),
        ({"query": "query a { __typename } query b { __typename }"}, 400),
        ({"query": "{ __typename }", "operationName": "x"}, 400),
        ({"query": "{ reps(repIds: []) { name } }"}, 200),
        ({"query": '{ representatives(references: [""]) { name } }'}, 200),
    ],
)
async def test_statuses_of_each_media_type(gateway: Gateway, body: dict[str, object], status: int) -> None:
    """What fails before it is executed is a 400 and has no `data`, or a 200 for who wants plain JSON."""
    reply = await gateway.post(json=body, headers={"accept": GRAPHQL})
    assert reply.status_code == status
    assert reply.headers["content-type"] == f"{GRAPHQL}; charset=utf-8"
    assert ("data" in reply.json()) is (status == 200)
    reply = await gateway.post(json=body, headers={"accept": JSON})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == f"{JSON}; charset=utf-8"
    assert reply.headers["vary"] == "Accept"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_other_methods(gateway: Gateway, method: str) -> None:
    """They are a 405 that says which there are."""
    reply = await gateway._client.request(method, "/graphql")  # noqa: SLF001  # there is no helper for these
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, POST")


async def test_a_body_beyond_the_bound(gateway_with: MakeGateway) -> None:
    """It is a 413, in one piece as well as in many, and what is at the bound is read."""
    gateway = await gateway_with(max_body_bytes=1000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 100

    head = {"content-type": JSON}
    assert (await gateway.post(content=b" " * 1001, headers=head)).status_code == 413
    reply = await gateway.post(content=pieces(), headers=head)
    assert reply.status_code == 413
    assert reply.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    body = json.dumps({"query": "{ __typename }"}).encode().ljust(1000)
    assert (await gateway.post(content=body, headers=head)).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("begun", [b"", b"{"])
async def test_a_body_that_does_not_come(blocks: Blocks, begun: bytes) -> None:
    """Who sends a head, and nothing of the body or not all of it, is refused after the time of a request."""
    app = create_app(settings_for(blocks, deadline_s=0.1))
    async with serving((app,), "127.0.0.1", 0, lifespan="on", **UVICORN) as (server,):
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(server.url).port)
        head = "POST /graphql HTTP/1.1", "Host: localhost", f"Content-Type: {JSON}", "Content-Length: 9", "", ""
        writer.write("\r\n".join(head).encode() + begun)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize(
    "parameters",
    [
        {"query": "{ __typename }", "variables": "{"},
        {"query": "{ __typename }", "variables": "[]"},
        {"query": "{ __typename }", "extensions": "1"},
        {"query": ""},
        {},
    ],
)
async def test_malformed_gets(gateway: Gateway, parameters: dict[str, str]) -> None:
    """They are a 400 with a GraphQL error."""
    reply = await gateway.get(params=parameters)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["message"]


async def test_a_get_with_variables(gateway: Gateway) -> None:
    """Variables are JSON in the URL."""
    query = "query Q($r: String!) { representative(reference: $r) { reference } }"
    reply = await gateway.get(params={"query": query, "variables": '{"r": "REP-001"}', "operationName": "Q"})
    assert reply.json() == {"data": {"representative": {"reference": "REP-001"}}}


async def test_numbers_and_texts_that_orjson_does_not_know(gateway: Gateway) -> None:
    """Custom fields keep integers of any size, and every text."""
    fields = {"big": 2**70, "text": "\U0001f600 \u2028"}
    await gateway.data(
        """mutation ($f: JSON) { updateRepresentative(reference: "REP-001", input: { customFields: $f }) {
          errors { message } } }""",
        f=fields,
    )
    data = await gateway.data('{ representative(reference: "REP-001") { customFields } }')
    assert data["representative"]["customFields"].items() >= fields.items()


async def test_a_batch(gateway_with: MakeGateway) -> None:
    """An array of requests gets an array of results, and what its queries have in common is one call."""
    gateway = await gateway_with(max_batch=3)
    gateway.sandbox.ledger.calls.clear()
    query = "query ($r: String!) { representative(reference: $r) { reference supervisor { reference } } }"
    reply = await gateway.post(
        json=[
            {"query": query, "variables": {"r": "REP-010"}},
            {"query": "{ nope }"},
            {"query": query, "variables": {"r": "REP-002"}},
        ],
        headers={"accept": GRAPHQL},
    )
    first, second, third = reply.json()
    assert (reply.status_code, first["data"]["representative"]["supervisor"]) == (200, {"reference": "REP-002"})
    assert (second["errors"][0]["extensions"]["code"], "data" in second) == ("GRAPHQL_VALIDATION_FAILED", False)
    assert third["data"]["representative"]["reference"] == "REP-002"
    assert len(gateway.calls) == len(set(gateway.calls))


@pytest.mark.parametrize("turned", [False, True])
async def test_a_batch_looks_ahead_for_all_of_its_operations(gateway_with: MakeGateway, turned: bool) -> None:
    """Where one of them needs the list, the look-ups of the others are answered by it, in whichever order."""
    gateway = await gateway_with(max_batch=2)
    one = '{ a: assignee(by: { assigneeId: "asg-0001" }) { email } }'
    both = '{ b: assignee(by: { assigneeId: "asg-0002" }) { email } assignees(first: 1) { nodes { email } } }'
    batch = [{"query": query} for query in ((both, one) if turned else (one, both))]
    gateway.sandbox.ledger.calls.clear()
    assert not any("errors" in result for result in (await gateway.post(json=batch)).json())
    assert len(gateway.calls) == 1


async def test_a_batch_with_a_mutation_is_run_in_order(gateway_with: MakeGateway) -> None:
    """What stands behind a mutation sees what it wrote."""
    gateway = await gateway_with(max_batch=3)
    read = {"query": '{ representative(reference: "REP-001") { name } }'}
    write = """mutation { updateRepresentative(reference: "REP-001", input: { name: "New" }) {
      representative { name } errors { message } } }"""
    before, _, after = (await gateway.post(json=[read, {"query": write}, read])).json()
    assert before["data"]["representative"]["name"] != "New"
    assert after["data"]["representative"]["name"] == "New"


@pytest.mark.parametrize(
    ("batch", "most", "message"),
    [
        ([{"query": "{ __typename }"}], 0, "not taken"),
        ([], 2, "1 to 2"),
        ([{"query": "{ __typename }"}] * 3, 2, "1 to 2"),
        ([{"query": "{ __typename }"}, "x"], 2, "must be an object"),
        ([[{"query": "{ __typename }"}]], 2, "must be an object"),
        ([{"query": 1}], 2, "`query`"),
    ],
)
async def test_a_batch_that_is_refused(
    gateway_with: MakeGateway, batch: list[object], most: int, message: str
) -> None:
    """As a whole, with a 400, before any of it is begun."""
    gateway = await gateway_with(max_batch=most)
    reply = await gateway.post(json=batch)
    assert reply.status_code == 400
    assert message in reply.json()["errors"][0]["message"]
