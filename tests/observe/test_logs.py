"""The log: one event a request, failures with their system and reason, and nothing personal."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from peoplegraph.observe import logs
from peoplegraph.sandbox.faults import parse
from peoplegraph.scopes import Scope
from peoplegraph.settings import LogFormat, LogSettings
from tests.access.callers import by_token, entry, token
from tests.conftest import MakeGateway
from tests.gateway import Gateway

JOINS = """query Joins($r: String!) {
  representative(reference: $r) { name email assignee { email } }
  rep(by: { repId: 1011 }) { name email }
}"""


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        """All of it, what waits for the loop's next turn included."""
        for handler in logging.getLogger().handlers:
            handler.flush()
        return self.stream.getvalue()

    @property
    def events(self) -> list[dict[str, Any]]:
        """Each line, decoded."""
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the events of a kind."""
        return [each for each in self.events if each["event"] == event]


@pytest.fixture
def log() -> Iterator[Log]:
    """Log to memory, as `peoplegraph serve` logs to standard error."""
    root, audit = logging.getLogger(), logging.getLogger("peoplegraph.audit")
    before = root.handlers[:], root.level, audit.handlers[:], audit.propagate
    log = Log()
    logs.configure(LogSettings(format=LogFormat.JSON), log.stream)
    yield log
    structlog.reset_defaults()
    root.handlers, root.level, audit.handlers, audit.propagate = before


async def test_a_request_is_an_event(log: Log, gateway: Gateway) -> None:
    """With its operation, caller, time and calls; its id is the one that it came with, and is sent back."""
    reply = await gateway.ask(JOINS, {"x-request-id": "from-the-proxy:1"}, r="REP-021")
    (event,) = log.of("request")
    assert reply.response.headers["x-request-id"] == event["request"] == "from-the-proxy:1"
    assert (event["operation"], event["type"], event["calls"], event["status"]) == ("Joins", "query", 3, 200)
    assert (event["caller"], event["transport"], len(event["hash"])) == ("open anonymous", "http", 64)
    assert 0 < event["ms"] < 10_000
    assert event["level"] == "info"
    assert event["at"].endswith("Z")
    assert "codes" not in event


@pytest.mark.parametrize("given", ["", "a b", "x" * 101, "é", "-x", 'a"b'])
async def test_an_id_that_is_none_is_replaced(log: Log, gateway: Gateway, given: str) -> None:
    """What nobody would take for an id goes neither into the log nor back."""
    reply = await gateway.post(
        json={"query": "{ __typename }"}, headers={"x-request-id": given.encode()} if given else {}
    )
    (event,) = log.of("request")
    assert event["request"] == reply.headers["x-request-id"] != given
    assert len(event["request"]) == 32


async def test_failures_are_told(log: Log, gateway: Gateway) -> None:
    """Of each failing call the system, the endpoint and the reason; of the request the errors by code."""
    await gateway.sandbox.switch([parse("rpm:error,status=503"), parse("disputes:reset")])
    reply = await gateway.ask(JOINS, r="REP-021")
    (request,) = log.of("request")
    assert request["codes"] == {"UPSTREAM_UNAVAILABLE": 2}
    warnings = [event for event in log.events if event["level"] == "warning"]
    assert {(event["system"], event["endpoint"], event["outcome"]) for event in warnings} == {
        ("RPM", "POST /Rep", "503"),
        ("DISPUTES", "GET /assignees/by-email/{assigneeEmail}", "UPSTREAM_UNAVAILABLE"),
    }
    assert {event["request"] for event in warnings} == {reply.response.headers["x-request-id"]}
    assert "RPM answers 503" in {event["event"] for event in warnings}


async def test_an_error_with_http_200_is_a_failure(log: Log, gateway_with: MakeGateway) -> None:
    """RPM's errors come with 200: the log and the metrics have what they mean, and explain has both."""
    gateway = await gateway_with(rpm={"api_key": "wrong"})
    query = {"query": "{ rep(by: { repId: 1011 }) { name } }", "extensions": {"explain": True}}
    answer = (await gateway.post(json=query)).json()
    (call,) = answer["extensions"]["explain"]["calls"]
    assert (call["status"], call["code"]) == (200, "UPSTREAM_UNAUTHORIZED")
    (warning,) = [event for event in log.events if event["level"] == "warning"]
    assert (warning["outcome"], warning["event"]) == (
        "UPSTREAM_UNAUTHORIZED",
        "RPM answers 200, UPSTREAM_UNAUTHORIZED",
    )
    text = (await gateway.fetch("/metrics")).text
    assert 'endpoint="POST /Rep",outcome="UPSTREAM_UNAUTHORIZED",system="RPM"' in text


async def test_a_breaker_that_opens_is_told(log: Log, gateway: Gateway) -> None:
    """Once, and again when the system is back; the calls that are not made are in the explanation."""
    await gateway.sandbox.switch([parse("rpm:error,status=503")])
    for number in range(25):
        await gateway.ask("query ($id: Int!) { rep(by: { repId: $id }) { name } }", id=1001 + number)
    assert len(log.of("RPM fails, and is not called for a while")) == 1
    query = {"query": "{ rep(by: { repId: 1011 }) { name } }", "extensions": {"explain": True}}
    (call,) = (await gateway.post(json=query)).json()["extensions"]["explain"]["calls"]
    assert (call["source"], call["status"], call["code"]) == ("refused", None, "UPSTREAM_UNAVAILABLE")


async def test_a_batch_is_one_request(log: Log, gateway_with: MakeGateway) -> None:
    """Its calls are counted once, though its operations have them together; each error is its operation's."""
    gateway = await gateway_with(max_batch=5)
    batch = [
        {"query": '{ representative(reference: "REP-021") { name } }', "extensions": {"explain": True}},
        {"query": 'query Second { representative(reference: "REP-021") { name } node(id: "x") { id } }'},
    ]
    answers = (await gateway.post(json=batch)).json()
    (event,) = log.of("request")
    assert event["calls"] == 1
    assert all(call["durationMs"] >= 0 for call in answers[0]["extensions"]["explain"]["calls"])
    assert 'peoplegraph_errors_total{code="BAD_INPUT",operation="Second"}' in (await gateway.fetch("/metrics")).text


async def test_who_shares_an_answer_is_told_like_anybody(log: Log, gateway: Gateway) -> None:
    """An event of each request has the operation, and the errors, of the answer that it was given."""
    await gateway.sandbox.switch([parse("rpm:latency,ms=200")])
    query = {"query": 'query Same { rep(by: { repId: 1011 }) { name } node(id: "x") { id } }'}
    await asyncio.gather(*(gateway.post(json=query) for _ in range(4)))
    events = log.of("request")
    assert [event["operation"] for event in events] == ["Same"] * 4
    assert [event["codes"] for event in events] == [{"BAD_INPUT": 1}] * 4
    assert sorted(event.get("shared", False) for event in events) == [False, True, True, True]
    assert sum(event.get("calls", 0) for event in events) == 1


async def test_long_names_are_cut(log: Log, gateway: Gateway) -> None:
    """A name of 50,000 letters is told by its first hundred, and is no label."""
    await gateway.ask(f"query {'N' * 50_000} {{ __typename }}")
    (event,) = log.of("request")
    assert event["operation"] == "N" * 100
    assert "NNNNN" not in (await gateway.fetch("/metrics")).text


async def test_nothing_personal_is_logged(log: Log, gateway: Gateway) -> None:
    """Neither the keys of records nor what is in them, of queries and mutations, well or failing."""
    await gateway.sandbox.switch([parse("rpm:error,status=500")])
    await gateway.ask(JOINS, r="REP-021")
    await gateway.ask('{ representative(reference: "REP-022") { name phoneNumbers { number } } nonsense }')
    requests = [line for line in log.text.splitlines() if '"audit"' not in line]
    for personal in ("REP-021", "REP-022", "Radia", "@northwind"):
        assert personal not in "\n".join(requests)


async def test_who_asks_by_token_has_an_alias(log: Log, gateway_with: MakeGateway, jwks_file: Any) -> None:
    """A token's subject may be somebody's name: the log has a digest of it, the same in each event."""
    gateway = await gateway_with(**by_token(jwks_file))
    for subject in ("ada@example.com", "ada@example.com", "bob"):
        headers = {"authorization": f"Bearer {token(sub=subject)}"}
        await gateway.post(json={"query": "{ __typename }"}, headers=headers)
    first, second, third = [event["caller"] for event in log.of("request")]
    assert first == second != third
    assert first.startswith("token ")
    assert "ada@" not in log.text  # the letters alone may be in a digest


async def test_a_refusal_is_an_event(log: Log, gateway_with: MakeGateway) -> None:
    """With where it came from, since nobody knows who it was."""
    gateway = await gateway_with(api_keys=[entry("x", Scope.REPS_READ)[1]])
    await gateway.post(json={"query": "{ __typename }"})
    (event,) = log.of("request")
    assert (event["status"], event["codes"], event["address"]) == (401, {"UNAUTHENTICATED": 1}, "127.0.0.1")


def test_people_get_it_pretty() -> None:
    """Where the log is for people it is no JSON, and a traceback is in it as they know it."""
    stream = io.StringIO()
    root, audit = logging.getLogger(), logging.getLogger("peoplegraph.audit")
    before = root.handlers[:], root.level, audit.handlers[:], audit.propagate
    try:
        logs.configure(LogSettings(format=LogFormat.PRETTY), stream)
        structlog.get_logger().info("request", status=200)
        try:
            secret = "planted"
            int("x" + secret[:0])
        except ValueError:
            logging.getLogger("peoplegraph.x").exception("it failed")
    finally:
        structlog.reset_defaults()
        root.handlers, root.level, audit.handlers, audit.propagate = before
    assert "status=200" in stream.getvalue()
    assert "ValueError: invalid literal" in stream.getvalue()
    assert "'planted'" not in stream.getvalue().replace('secret = "planted"', "")
    assert not stream.getvalue().startswith("{")
