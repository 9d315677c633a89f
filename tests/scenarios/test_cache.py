"""Answers kept across requests, through the front door."""

import asyncio

import pytest

from peoplegraph.sandbox import disputes
from tests.conftest import MakeGateway
from tests.scripted import http, scripted

KEPT = {name: {"cache_ttl_s": 60} for name in ("collections", "disputes", "rpm")}
WRITE = "mutation { %s { errors { message } } }"
EVERYTHING = """{
  representative(reference: "REP-006") { name assignee { title } }
  long: representative(reference: "REP-002") { accounts { totalCount } }
  departments { assignees(first: 1) { nodes { title } } }
  rep(by: { repId: 1001 }) { title }
  byCode: rep(by: { assignment: { supplierId: 2, code: "C001" } }) { title }
  reps(repIds: [1001, 1002]) { name }
}"""


async def test_a_second_request_costs_nothing(gateway_with: MakeGateway) -> None:
    """What one request has read, the next one need not, of every system."""
    gateway = await gateway_with(**KEPT)
    first = await gateway.data(EVERYTHING)
    assert len(gateway.calls) == 8
    assert await gateway.data(EVERYTHING) == first
    assert gateway.calls == []


async def test_writes_drop_what_they_touch_and_no_more(gateway_with: MakeGateway) -> None:
    """After a mutation the record, its lists and look-ups are read anew; the rest is still in hand."""
    gateway = await gateway_with(**KEPT)
    await gateway.data(EVERYTHING)
    await gateway.data(WRITE % 'updateRepresentative(reference: "REP-006", input: { name: "New" })')
    assert (await gateway.data(EVERYTHING))["representative"]["name"] == "New"
    assert gateway.calls == ["COLLECTIONS GET /representatives/REP-006"]
    await gateway.data(WRITE % 'linkRepresentativeAccounts(reference: "REP-002", accountNumbers: ["ACCT-0500"])')
    assert (await gateway.data(EVERYTHING))["long"]["accounts"]["totalCount"] == 251
    assert gateway.calls == [
        "COLLECTIONS GET /representatives/REP-002",
        "COLLECTIONS GET /representatives/REP-002/accounts?page=1&limit=100",
    ]
    await gateway.data(WRITE % 'updateAssignee(by: { assigneeId: "asg-0006" }, input: { title: "New" })')
    assert len(gateway.calls) == 2
    assert (await gateway.data(EVERYTHING))["representative"]["assignee"]["title"] == "New"
    assert gateway.calls == ["DISPUTES GET /tenants/sandbox-tenant/assignees"]
    await gateway.data(WRITE % 'updateRep(repId: 1001, input: { title: "New" })')
    assert len(gateway.calls) == 2
    data = await gateway.data(EVERYTHING)
    assert data["rep"]["title"] == data["byCode"]["title"] == "New"
    assert gateway.calls == ["RPM POST /Rep", "RPM POST /Rep"]
    await gateway.data(EVERYTHING)
    assert gateway.calls == []


async def test_a_refused_read_is_not_kept(gateway_with: MakeGateway) -> None:
    """RPM's errors come with 200 and are asked for again; so is what was not found."""
    gateway = await gateway_with(**KEPT)
    query = '{ rep(by: { repId: 4 }) { name } representative(reference: "NOPE") { name } }'
    for _ in range(2):
        await gateway.data(query)
        assert len(gateway.calls) == 2


async def test_nothing_that_is_kept_crosses_credentials(gateway_with: MakeGateway) -> None:
    """Two callers with every layer on: each has the answers to its own credential."""
    gateway = await gateway_with(disputes={"cache_ttl_s": 60, "credential": "caller", "api_key": None})
    query = '{ currentAssignee { assigneeId } assignee(by: { assigneeId: "asg-0009" }) { email } }'
    callers = [{"X-Billtrust-Auth": disputes.USER_TOKEN}, {"X-Billtrust-Api-Key": disputes.READ_ONLY_KEY}]
    for calls in (2, 0):
        for number, headers in ((3, callers[0]), (2, callers[1])):
            reply = await gateway.ask(query, headers=headers)
            assert reply.data["currentAssignee"] == {"assigneeId": f"asg-{number:04}"}
            assert len(gateway.calls) == calls
    both = await asyncio.gather(*(gateway.ask(query, headers=headers) for headers in callers * 5))
    assert [r.data["currentAssignee"]["assigneeId"] for r in both] == ["asg-0003", "asg-0002"] * 5
    reply = await gateway.ask(query, headers={"X-Billtrust-Api-Key": "wrong"})
    assert reply.codes == {"currentAssignee": "FORBIDDEN", "assignee": "FORBIDDEN"}


async def test_a_stale_answer_says_so(gateway_with: MakeGateway) -> None:
    """With stale-if-error a system that fails is answered for from what is kept, and the response names it."""
    up = True

    def script(_: str) -> bytes:
        return http(200, '{"name": "old"}') if up else http(503)

    async with scripted(script) as upstream:
        block = {"url": upstream.url, "cache_ttl_s": 0.01}
        gateway = await gateway_with(collections=block, stale_if_error_s=60)
        query = '{ representative(reference: "A") { name } }'
        fresh = await gateway.ask(query)
        assert "extensions" not in fresh.response.json()
        await asyncio.sleep(0.02)
        up = False
        reply = await gateway.ask(query)
    assert reply.response.json() == {
        "data": {"representative": {"name": "old"}},
        "extensions": {"stale": ["COLLECTIONS"]},
    }


async def test_several_workers_keep_nothing(gateway_with: MakeGateway, caplog: pytest.LogCaptureFixture) -> None:
    """One worker does not see what is written through another: nothing is kept or shared, and that is said."""
    gateway = await gateway_with(**KEPT, workers=2)
    for _ in range(2):
        await gateway.data('{ representative(reference: "REP-001") { name } }')
        assert len(gateway.calls) == 1
    same = '{ representative(reference: "REP-001") { name } }'
    gateway.sandbox.ledger.calls.clear()
    await asyncio.gather(*(gateway.post(json={"query": same}) for _ in range(3)))
    assert len(gateway.calls) == 3
    assert "with several workers no answers are kept" in caplog.text
