"""A gateway over real HTTP whose secrets are planted, and what has to hold of it whatever it is sent."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, event, settings

from peoplegraph import create_app
from peoplegraph.commands.serve import UVICORN
from peoplegraph.sandbox import Sandbox, collections, disputes, rpm
from peoplegraph.sandbox.serving import serving
from peoplegraph.sandbox.store import Store
from peoplegraph.scopes import DATA, Scope
from tests.gateway import settings_for

KEY = "pgk_planted-key-of-a-caller"
"""What a caller may send as its API key."""

FORWARDED = {"x-billtrust-auth": disputes.USER_TOKEN}
"""What a caller may send for the gateway to send on to a system."""

SECRETS = (
    KEY,
    sha256(KEY.encode()).hexdigest(),
    collections.KEY,
    disputes.KEY,
    rpm.KEY,
    *FORWARDED.values(),
)
"""What no answer and no line of the log may have."""

REFUSED = {400, 401, 405, 406, 408, 413, 415}

PATIENCE_S = 10.0
"""How long anything may take: far longer than any of it does."""

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))


def bounded(examples: int) -> settings:
    """Return the settings of a test with so many examples; `FUZZ_TIMES` times as many for who looks for more."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        print_blob=True,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
            HealthCheck.function_scoped_fixture,  # `caplog` is cleared for each example
        ],
    )


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway that is served, and the emulated systems behind it."""

    url: str
    client: httpx.AsyncClient = field(repr=False)
    sandbox: Sandbox = field(repr=False)
    seeded: Store = field(repr=False)
    upstreams: tuple[str, ...]
    """Where the systems are: nobody's business either."""

    @property
    def port(self) -> int:
        """The gateway's port."""
        return urlsplit(self.url).port or 0

    async def begin(self, caplog: pytest.LogCaptureFixture) -> None:
        """Begin an example: with the systems as they were at first, and an empty log."""
        self.sandbox.store.copy_from(self.seeded)
        self.sandbox.ledger.calls.clear()
        caplog.set_level(logging.INFO)
        caplog.clear()

    async def ask(self, method: str = "POST", parameters: bytes = b"", **request: Any) -> httpx.Response:
        """Send a request to the endpoint; `parameters` as they are, but for what cannot stand in a URL."""
        query = quote(parameters, safe="%&=+;:,{}[]\"'()$!*/?") if parameters else ""
        async with asyncio.timeout(PATIENCE_S):
            return await self.client.request(method, f"/graphql?{query}" if query else "/graphql", **request)

    def assert_tight(self, *answers: str | bytes) -> None:
        """Assert that there is no secret in an answer."""
        for answer in answers:
            text = answer if isinstance(answer, str) else answer.decode("latin-1")
            for secret in (*SECRETS, *self.upstreams):
                assert secret not in text

    async def assert_well(self, caplog: pytest.LogCaptureFixture) -> None:
        """Assert that the gateway goes on serving, and that the log has no error, no secret and no forged line."""
        reply = await self.ask(json={"query": "{ __typename }"}, headers={"connection": "close"})
        assert (reply.status_code, reply.json()) == (200, {"data": {"__typename": "Query"}})
        for record in caplog.records:
            if record.name in ("httpx", "uvicorn.access"):
                continue  # the tests' own client, and what is off but for pytest
            message = record.getMessage()
            assert record.levelno < logging.ERROR, f"{message} {record.exc_info}"
            assert message.isprintable(), message
            for secret in SECRETS:
                assert secret not in message


def assert_answer(answer: Any) -> None:
    """Assert that JSON is the answer to a GraphQL request, and tells of no bug."""
    assert isinstance(answer, dict)
    assert answer.keys() <= {"data", "errors", "extensions"}
    assert answer.get("data") is not None or answer.get("errors")
    if "errors" in answer:
        assert_errors(answer["errors"])


def assert_errors(errors: Any) -> None:
    """Assert that JSON is a list of GraphQL's errors, and tells of no bug."""
    assert isinstance(errors, list)
    assert errors
    for error in errors:
        assert error.keys() <= {"message", "locations", "path", "extensions"}
        assert isinstance(error["message"], str)
        assert error["message"]
        assert error["extensions"]["code"] != "INTERNAL", error
        assert error["extensions"]["requestId"]


def assert_reply(reply: httpx.Response) -> None:
    """Assert that an answer is one to a GraphQL request, or says in GraphQL's words what was wrong with it."""
    body = reply.content
    kind = reply.headers["content-type"]
    if kind.startswith("text/html"):
        assert reply.status_code == 200
        return
    if kind.startswith("text/event-stream"):
        begin, end = b"event: next\ndata: ", b"\n\nevent: complete\ndata:\n\n"
        assert body.startswith(begin)
        assert body.endswith(end)
        body = body.removeprefix(begin).removesuffix(end)
        assert b"\n" not in body
    answer = strict(body)
    if reply.status_code != 200:
        assert reply.status_code in REFUSED
        assert answer.get("data") is None
        assert_errors(answer["errors"])
    for each in answer if isinstance(answer, list) else [answer]:
        assert_answer(each)
        codes = {error["extensions"]["code"] for error in each.get("errors", [])}
        event(" ".join([str(reply.status_code), *sorted(codes)]))


def strict(text: str | bytes) -> Any:
    """Decode JSON that is JSON to everybody."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


@asynccontextmanager
async def serving_gateway(*, config: dict[str, Any] | None = None, **overrides: Any) -> AsyncIterator[Served]:
    """Serve a gateway with planted secrets over systems of its own; it leaves no task behind."""
    before = asyncio.all_tasks()
    sandbox, seeded = Sandbox(), Store()
    seeded.copy_from(sandbox.store)
    async with AsyncExitStack() as stack:
        stack.callback(sandbox.close)
        stack.callback(seeded.close)
        running = await stack.enter_async_context(sandbox.running())
        keys = [{"name": "planted", "sha256": sha256(KEY.encode()).hexdigest(), "scopes": list(Scope)}]
        settings = settings_for(
            running.blocks,
            **{
                "api_keys": keys,
                "open": True,
                "open_scopes": frozenset(DATA),
                "disputes": {"credential": "caller-or-gateway"},
                "max_batch": 3,
                "persisted_queries": 50,
                "cors_origins": ("https://app.example",),
                "caller_operations": 50,  # what is not given back is missed
                "caller_sockets": 20,
                **overrides,
            },
        )
        (server,) = await stack.enter_async_context(
            serving((create_app(settings),), "127.0.0.1", 0, lifespan="on", **{**UVICORN, **(config or {})})
        )
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S))
        upstreams = tuple(urlsplit(block["url"]).netloc for block in running.blocks.values())
        yield Served(server.url, client, sandbox, seeded, upstreams)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - before <= {asyncio.current_task()}
