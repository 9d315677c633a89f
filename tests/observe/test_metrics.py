"""Metrics: what is counted, by what, and who may read it."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from peoplegraph.observe.names import Names
from peoplegraph.sandbox.faults import parse
from peoplegraph.scopes import Scope
from tests.access.callers import entry
from tests.conftest import MakeGateway
from tests.gateway import Gateway

JOINS = """query Joins {
  representative(reference: "REP-021") { name assignee { email } }
  rep(by: { repId: 1011 }) { name }
}"""

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def samples(gateway: Gateway, **headers: str) -> Samples:
    """Return what the gateway exposes."""
    reply = await gateway.fetch("/metrics", headers=headers)
    assert reply.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


class Counted:
    """What was counted since a look before; the process's tests share the counters."""

    def __init__(self, before: Samples, after: Samples) -> None:
        self._before, self._after = before, after

    def __call__(self, name: str, **labels: str) -> float:
        """Return by how much a sample has grown."""
        key = (f"peoplegraph_{name}", tuple(sorted(labels.items())))
        return self._after.get(key, 0) - self._before.get(key, 0)


async def counted(gateway: Gateway, *queries: str) -> Counted:
    """Ask, one after the other, and return what was counted."""
    before = await samples(gateway)
    for query in queries:
        await gateway.ask(query)
    return Counted(before, await samples(gateway))


async def test_requests_and_calls_are_counted(gateway: Gateway) -> None:
    """By operation, and by system, endpoint and outcome; each with its time."""
    more = await counted(gateway, JOINS)
    assert more("requests_total", transport="http", status="200") == 1
    assert more("operations_total", operation="Joins", type="query", outcome="ok") == 1
    assert more("operation_duration_seconds_count", operation="Joins") == 1
    calls = {
        ("COLLECTIONS", "GET /representatives/{reference}"),
        ("DISPUTES", "GET /assignees/by-email/{assigneeEmail}"),
        ("RPM", "POST /Rep"),
    }
    for system, endpoint in calls:
        assert more("upstream_calls_total", system=system, endpoint=endpoint, outcome="200") == 1
        assert more("upstream_call_duration_seconds_count", system=system, endpoint=endpoint) == 1
        assert more("upstream_call_duration_seconds_sum", system=system, endpoint=endpoint) > 0


async def test_failures_are_counted(gateway: Gateway) -> None:
    """Retries by system, attempts by what came of them, and errors by operation and code."""
    await gateway.sandbox.switch([parse("rpm:error,status=503")])
    more = await counted(gateway, JOINS)
    assert more("upstream_calls_total", system="RPM", endpoint="POST /Rep", outcome="503") == 3
    assert more("upstream_retries_total", system="RPM") == 2
    assert more("operations_total", operation="Joins", type="query", outcome="errors") == 1
    assert more("errors_total", operation="Joins", code="UPSTREAM_UNAVAILABLE") == 1


async def test_caches_are_counted(gateway_with: MakeGateway) -> None:
    """Hits and misses of answers, by system, and of documents and plans."""
    gateway = await gateway_with(collections={"cache_ttl_s": 60})
    query = '{ representative(reference: "REP-033") { name } }'
    more = await counted(gateway, query, query, query)
    assert more("cache_reads_total", system="COLLECTIONS", result="miss") == 1
    assert more("cache_reads_total", system="COLLECTIONS", result="hit") == 2
    assert (more("documents_total", result="miss"), more("documents_total", result="hit")) == (1, 2)
    assert (more("plans_total", result="miss"), more("plans_total", result="hit")) == (1, 2)


async def test_declined_operations_are_counted(gateway: Gateway) -> None:
    """What graphql-core runs, by the reason for it."""
    more = await counted(gateway, "{ __schema { queryType { name } } }", "{ __typename }")
    assert more("declined_operations_total", reason="__schema is introspection") == 1


@pytest.mark.parametrize(
    ("settings", "query", "limit"),
    [
        ({"max_depth": 1}, "{ __schema { queryType { name } } }", "depth"),
        ({"max_document_characters": 100}, "{ __typename }".ljust(101), "characters"),
        ({"max_document_tokens": 10}, "{ a b c d e f g h i j k }", "tokens"),
        ({"max_upstream_calls": 1}, JOINS, "upstream_calls"),
        ({"caller_requests_per_second": 0.001}, "{ __typename } #", "requests"),
    ],
)
async def test_limits_are_counted(
    gateway_with: MakeGateway, settings: dict[str, Any], query: str, limit: str
) -> None:
    """What is refused is counted by the limit that it passes."""
    gateway = await gateway_with(**settings)
    if limit == "requests":
        await gateway.ask(query)
    more = await counted(gateway, query)
    assert more("limits_total", limit=limit) == 1


async def test_the_state_of_the_systems_is_shown(gateway: Gateway) -> None:
    """Slots, breakers and the loop's lag are gauges, looked at four times a second."""
    now = await samples(gateway)
    assert now["peoplegraph_upstream_slots", (("system", "RPM"),)] == 20
    assert now["peoplegraph_upstream_slots_in_use", (("system", "RPM"),)] == 0
    assert now["peoplegraph_breaker_state", (("system", "RPM"),)] == 0
    assert 0 <= now["peoplegraph_event_loop_lag_seconds", ()] < 5
    assert now["peoplegraph_ready", ()] == 1


def test_names_are_bounded() -> None:
    """However many names how many callers make up, no more than there is room for are told apart."""
    names = Names(200)
    for number in range(10_000):
        names.bring(f"Made_{number}", f"caller {number}")
        names.trust(f"Trusted_{number}")
    told = {names.told(f"{kind}_{number}") for kind in ("Made", "Trusted") for number in range(10_000)}
    assert len(told) == 200 + 200 + 1
    assert "other" in told
    assert repr(names) == "<Names 400, room for 0, of trusted documents for 0>"


def test_nobody_uses_up_the_names() -> None:
    """A caller brings half of what there is room for, the next one half of the rest; nothing is brought twice."""
    names = Names(200)
    for caller, room in (("first", 100), ("second", 50), ("third", 25)):
        for _ in range(2):
            for number in range(1000):
                names.bring(f"{caller}_{number}", caller)
        assert repr(names) == f"<Names {200 - room}, room for {room}, of trusted documents for 200>"
    assert names.told("first_99") == "first_99"
    assert names.told("first_100") == "other"
    names.bring("x" * 100, "fourth")
    assert names.told("x" * 100) == "other"
    assert names.told(None) == "anonymous"


async def test_who_may_read_them(gateway_with: MakeGateway) -> None:
    """Off loopback it takes a credential with the scope `metrics`; a key without it is 403, none is 401."""
    (able, known), (plain, other) = entry("prometheus", Scope.METRICS), entry("app", Scope.REPS_READ)
    gateway = await gateway_with(api_keys=[known, other], metrics={"open": False})
    assert (await gateway.fetch("/metrics")).status_code == 401
    assert (await gateway.fetch("/metrics", headers={"authorization": f"Bearer {plain}"})).status_code == 403
    assert await samples(gateway, authorization=f"Bearer {able}")


async def test_nothing_personal_is_in_them(gateway: Gateway) -> None:
    """Neither keys of records nor values of variables are labels."""
    await gateway.ask("query ($r: String!) { representative(reference: $r) { name } }", r="REP-013")
    text = (await gateway.fetch("/metrics")).text
    assert "REP-013" not in text
    assert "@" not in text
