"""The endpoint: GraphiQL for browsers, and clear errors for everything that is no operation."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from peoplegraph import create_app
from peoplegraph.access.gate import Gate
from peoplegraph.access.quotas import Quotas
from peoplegraph.backends import BACKENDS
from peoplegraph.context import Context, ways_to
from peoplegraph.engine import Engine
from peoplegraph.sandbox import Blocks
from peoplegraph.schema import build_schema
from peoplegraph.settings import Settings
from peoplegraph.upstream.call import Answer, Call
from peoplegraph.web.asking import Asking, MakeContext, ReadHeaders
from peoplegraph.web.graphql import Endpoint
from peoplegraph.web.operations import Operations
from tests.gateway import Gateway, settings_for

SCHEMA = build_schema()
GET = {"apollo-require-preflight": "1"}
JSON = {"content-type": "application/json"}


def endpoint(settings: Settings, make_context: MakeContext) -> Endpoint:
    """Return an endpoint that is open, and has no limits."""
    quotas = Quotas(requests_per_second=0, calls_per_minute=0, at_once=100)
    return Endpoint(Operations(Engine(SCHEMA), make_context), Gate(settings), quotas, ReadHeaders())


async def test_a_browser_gets_graphiql(gateway: Gateway) -> None:
    """Who accepts HTML gets the page."""
    page = await gateway.get(headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "graphiql" in page.text.lower()


@pytest.mark.parametrize("accept", ["application/json", "*/*", ""])
async def test_everyone_else_gets_json(gateway: Gateway, accept: str) -> None:
    """Without a query a client is told so in JSON; with one, it is answered over GET."""
    reply = await gateway.get(headers={"accept": accept})
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    reply = await gateway.get(headers={"accept": accept}, params={"query": "{ __typename }"})
    assert reply.json() == {"data": {"__typename": "Query"}}


async def test_no_mutation_over_get(gateway: Gateway) -> None:
    """A GET changes nothing."""
    reply = await gateway.get(
        params={"query": 'mutation { deleteAssignee(by: { assigneeId: "asg-0001" }) { deleted } }'}
    )
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert reply.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert gateway.calls == []


BAD_BODIES: list[Any] = [
    b"",
    b"{",
    b'"x"',
    b"null",
    b"1",
    b"[]",
    b"[1]",
    b"{}",
    b'{"query": 5}',
    b'{"query": "{ __typename }", "variables": 5}',
    b'{"query": "{ __typename }", "variables": "x"}',
    b'{"query": "{ __typename }", "operationName": 5}',
    b'{"query": "{ __typename }", "extensions": 5}',
    b'{"query": "{ __typename }", "variables": {"a": NaN}}',
    b'{"query": "\xff"}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:40]))
async def test_bodies_that_are_no_operation(gateway: Gateway, body: bytes) -> None:
    """Whatever is posted, the answer is a well-formed GraphQL error with a request id, and no 5xx."""
    reply = await gateway.post(content=body, headers=JSON)
    assert reply.status_code == 400
    (error,) = reply.json()["errors"]
    assert error["extensions"] == {"code": "BAD_REQUEST", "requestId": reply.headers["x-request-id"]}
    assert error["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_simple_content_types_are_refused(gateway: Gateway, content_type: str) -> None:
    """What a foreign page can send without a preflight is not an operation."""
    reply = await gateway.post(content=b'{"query": "{ __typename }"}', headers={"content-type": content_type})
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($x: Int!) { reps(repIds: [$x]) { name } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ assignee(by: {}) { email } }", "GRAPHQL_VALIDATION_FAILED"),
        ('{ assignee(by: { assigneeId: "a", email: "b" }) { email } }', "GRAPHQL_VALIDATION_FAILED"),
        ("{ reps(repIds: [99999999999]) { name } }", "GRAPHQL_VALIDATION_FAILED"),
        pytest.param("{ reps(repIds: [%s]) { name } }" % ("9" * 5_000), "GRAPHQL_VALIDATION_FAILED", id="enormous"),
    ],
)
async def test_operations_that_are_not_valid(gateway: Gateway, query: str, code: str) -> None:
    """GraphQL's own errors have the codes that clients know, and make no call."""
    reply = await gateway.ask(query)
    assert {error["extensions"]["code"] for error in reply.errors} == {code}
    assert gateway.calls == []


async def test_several_operations_need_a_name(gateway: Gateway) -> None:
    """Of several operations none is run unless it is named; a name that is not there is an error."""
    document = (
        """mutation m { deleteAssignee(by: { assigneeId: "asg-0001" }) { deleted } } query q { __typename }"""
    )
    reply = await gateway.ask(document)
    assert reply.data is None
    assert [e["extensions"]["code"] for e in reply.errors] == ["GRAPHQL_VALIDATION_FAILED"]
    assert gateway.calls == []
    named = await gateway.post(json={"query": document, "operationName": "q"})
    assert named.json() == {"data": {"__typename": "Query"}}
    for name in ("nope", "\ud800"):
        body = json.dumps({"query": document, "operationName": name})
        refused = await gateway.post(content=body, headers={**JSON, "accept": "application/graphql-response+json"})
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_a_lookup_by_two_keys_in_variables(gateway: Gateway) -> None:
    """@oneOf holds for variables as well."""
    for by in ({}, {"assigneeId": "a", "email": "b"}, {"assigneeId": None}):
        reply = await gateway.ask("query ($by: AssigneeLookup!) { assignee(by: $by) { email } }", by=by)
        assert reply.errors
        assert not {"INTERNAL"} & {error["extensions"]["code"] for error in reply.errors}
        assert gateway.calls == []


async def test_graphiqls_introspection(gateway: Gateway) -> None:
    """The query with which tools read the schema is answered."""
    from graphql import build_client_schema, get_introspection_query, print_schema  # noqa: PLC0415

    data = await gateway.data(get_introspection_query(descriptions=True, input_value_deprecation=True))
    assert "type Representative" in print_schema(build_client_schema(data))


@pytest.fixture
async def buggy(blocks: Blocks) -> AsyncIterator[httpx.AsyncClient]:
    """Run an endpoint whose way to the upstreams has a bug."""

    async def send(_: Call) -> Answer:
        raise RuntimeError("secret detail of http://10.0.0.1/internal")

    def make_context(asking: Asking) -> Context:
        return Context(
            ways=ways_to(BACKENDS, settings),
            send=send,
            settings=settings,
            caller=asking.caller,
            caller_headers=asking.headers,
            deadline=asyncio.get_running_loop().time() + 5,
            request_id=asking.request_id,
        )

    settings = settings_for(blocks)
    app = Starlette(routes=[Route("/graphql", endpoint(settings, make_context))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client


async def test_a_bug_is_masked_and_logged(buggy: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """Anything unexpected is INTERNAL with the request's id; the cause is in the log, and only there."""
    query = '{ __typename rep(by: { repId: 1 }) { name } representative(reference: "A") { name } }'
    with caplog.at_level(logging.ERROR):
        reply = await buggy.post("/graphql", json={"query": query})
    body = reply.json()
    request_id = reply.headers["x-request-id"]
    assert body["data"] == {"__typename": "Query", "rep": None, "representative": None}
    assert [e["extensions"] for e in body["errors"]] == [{"code": "INTERNAL", "requestId": request_id}] * 2
    assert request_id in body["errors"][0]["message"]
    assert "secret" not in json.dumps(body)
    assert "secret detail" in caplog.text
    assert request_id in caplog.text


async def test_a_caller_that_hangs_up(blocks: Blocks, caplog: pytest.LogCaptureFixture) -> None:
    """A request that ends in the middle of its body is nobody's error, and leaves no trace."""
    app = create_app(settings_for(blocks))
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    assert sent == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_bug_outside_of_an_operation_is_masked(blocks: Blocks, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong in the endpoint itself is a GraphQL error with the request's id."""

    def make_context(_: Asking) -> Context:
        raise RuntimeError("secret")

    app = Starlette(routes=[Route("/graphql", endpoint(settings_for(blocks), make_context))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        reply = await client.post("/graphql", json={"query": "{ __typename }"})
    assert reply.status_code == 500
    (error,) = reply.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": reply.headers["x-request-id"]}
    assert "secret" not in reply.text
    assert "secret" in caplog.text


async def test_something_that_was_cancelled_is_no_end_of_the_request(
    blocks: Blocks, caplog: pytest.LogCaptureFixture
) -> None:
    """Where what it waits for is cancelled, and not the request itself, it is answered as any other bug."""

    def make_context(_: Asking) -> Context:
        raise asyncio.CancelledError

    app = Starlette(routes=[Route("/graphql", endpoint(settings_for(blocks), make_context))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        reply = await client.post("/graphql", json={"query": "{ __typename }"})
    assert (reply.status_code, reply.json()["errors"][0]["extensions"]["code"]) == (500, "INTERNAL")
    assert "CancelledError" in caplog.text


async def test_middleware_is_passed(blocks: Blocks) -> None:
    """What somebody puts in front of the gateway's application stands in front of its endpoint, too."""
    app = create_app(settings_for(blocks))

    class Deny:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("no", 403)(scope, receive, send)

    app.add_middleware(Deny)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        reply = await client.post("/graphql", json={"query": "{ __typename }"})
    assert (reply.status_code, reply.text) == (403, "no")
