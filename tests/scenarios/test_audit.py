"""The audit log: who wrote to what, by which calls, with which outcome; never what."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from peoplegraph.access.api_keys import new_key
from peoplegraph.scopes import DATA, Scope
from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.scripted import http, scripted
from tests.test_docs import INPUTS

Events = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Events:
    """Return what was logged since it was asked for last."""
    caplog.set_level(logging.INFO, "peoplegraph.audit")

    def logged() -> list[dict[str, Any]]:
        found = [json.loads(r.getMessage()) for r in caplog.records if r.name == "peoplegraph.audit"]
        caplog.clear()
        return found

    return logged


async def test_every_mutation_is_audited(gateway: Gateway, events: Events) -> None:
    """Each has an event, with exactly the calls that were made for it until it was done."""
    for field, inputs in INPUTS.items():
        for arguments in inputs:
            reply = await gateway.ask(f"mutation Name {{ {field}{arguments} }}")
            (event,) = events()
            assert event["audit"] == field
            assert event["operation"] == "Name"
            assert event["caller"] == "open anonymous"
            assert event["outcome"] in ("done", "refused AlreadyExists")
            assert event["request"] == reply.response.headers["x-request-id"]
            made = [f"{call.method} {call.target}" for call in gateway.recorded]
            written = [call["call"] for call in event["calls"]]
            assert written == made[: len(written)]
            assert [call for call in gateway.writes if call.split(" ", 1)[1] not in written] == []
            assert {call["outcome"] for call in event["calls"]} <= {"200", "201", "204", "409"}
            assert {call["credential"] for call in event["calls"]} == {"gateway"}


async def test_which_record(gateway: Gateway, events: Events) -> None:
    """It is told by the key that the caller used, and of a new one by the id that it was given."""
    ask = """mutation { %s }"""
    await gateway.ask(ask % 'updateRepresentative(reference: "REP-001", input: { name: "Value" }) { created }')
    assert events()[0]["record"] == {"reference": "REP-001"}
    await gateway.ask(
        ask % 'updateAssignee(by: { assigneeId: "asg-0006" }, input: { title: "Value" }) { errors { message } }'
    )
    assert events()[0]["record"] == {"by": {"assigneeId": "asg-0006"}, "id": "asg-0006"}
    await gateway.ask(
        ask % 'linkRepresentativeAccounts(reference: "REP-001", accountNumbers: ["ACCT-0001", "NOPE"]) { linked }'
    )
    (event,) = events()
    assert event["record"] == {"reference": "REP-001", "accountNumbers": ["ACCT-0001", "NOPE"]}
    assert event["outcome"] == "partly NOT_FOUND"
    reply = await gateway.ask(
        ask % 'createAssignee(input: { departmentId: "dep-01", email: "a@b.example" }) { assignee { assigneeId } }'
    )
    assert events()[0]["record"] == {"id": reply.data["createAssignee"]["assignee"]["assigneeId"]}
    reply = await gateway.ask(
        ask % 'createRep(input: { agencyId: 1, username: "u", firstName: "f", lastName: "l" }) { rep { repId } }'
    )
    assert events()[0]["record"] == {"id": str(reply.data["createRep"]["rep"]["repId"])}


async def test_refusals_and_failures(gateway_with: MakeGateway, events: Events) -> None:
    """What was declined, by the gateway or by the system, and what failed, is told as such."""
    gateway = await gateway_with()
    await gateway.ask(
        'mutation { updateRepresentative(reference: "REP-001", input: { language: "eng" }) { created } }'
    )
    (event,) = events()
    assert (event["outcome"], event["calls"]) == ("refused InvalidInput", [])
    await gateway.ask('mutation { deleteAssignee(by: { assigneeId: "nobody" }) { deleted } }')
    (event,) = events()
    assert (event["outcome"], [call["outcome"] for call in event["calls"]]) == ("refused NotFound", ["404"])
    await gateway.ask('mutation { deleteAssignee(by: { assigneeId: "a\\nb" }) { deleted } }')
    assert events()[0]["outcome"] == "BAD_INPUT"
    async with scripted(lambda _: http(500, "")) as upstream:
        gateway = await gateway_with(disputes={"url": upstream.url})
        await gateway.ask('mutation { deleteAssignee(by: { assigneeId: "a" }) { deleted } }')
    (event,) = events()
    assert event["outcome"] == "UPSTREAM_OUTCOME_UNKNOWN"
    assert {call["outcome"] for call in event["calls"]} == {"500"}


async def test_a_write_whose_caller_leaves(gateway_with: MakeGateway, events: Events) -> None:
    """It is told, too: nobody knows what became of it."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(5)
        return http(200, "{}")

    async with scripted(slow) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url})
        task = asyncio.create_task(
            gateway.ask('mutation { updateRepresentative(reference: "A", input: {}) { created } }')
        )
        while not upstream.requests:  # noqa: ASYNC110  # the upstream has no event
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
    (event,) = events()
    assert event["outcome"] == "CANCELLED"
    assert [call["outcome"] for call in event["calls"]] == ["CANCELLED"]


async def test_who(gateway_with: MakeGateway, events: Events) -> None:
    """The caller's name, and whose credential each call had."""
    key, sha = new_key()
    gateway = await gateway_with(
        api_keys=[{"name": "the app", "sha256": sha, "scopes": list(DATA)}],
        collections={"credential": "caller-or-gateway"},
    )
    mutation = 'mutation { updateRepresentative(reference: "REP-001", input: {}) { created } }'
    headers = {"authorization": f"Bearer {key}"}
    await gateway.ask(mutation, headers)
    await gateway.ask(mutation, headers | {"X-API-Key": "the caller's own"})
    first, second = events()
    assert first["caller"] == second["caller"] == "key the app"
    assert [call["credential"] for call in first["calls"]] == ["gateway"]
    assert [call["credential"] for call in second["calls"]] == ["caller"]


async def test_who_may_not(gateway_with: MakeGateway, events: Events) -> None:
    """A mutation that is refused for want of a scope is told, too, beside one that is not."""
    gateway = await gateway_with(open_scopes=[Scope.ASSIGNEES_WRITE])
    await gateway.ask(
        """mutation Try {
          x: updateRepresentative(reference: "REP-001", input: {}) { created }
          deleteAssignee(by: { assigneeId: "asg-0007" }) { deleted }
        }"""
    )
    done, refused = events()
    assert (done["audit"], done["outcome"]) == ("deleteAssignee", "done")
    assert (refused["audit"], refused["outcome"], refused["scope"]) == ("x", "FORBIDDEN", "representatives:write")
    assert refused["operation"] == "Try"


async def test_several_in_one_request(gateway: Gateway, events: Events) -> None:
    """Each root field has its own event, with its own calls, in the order in which they were executed."""
    await gateway.ask(
        """mutation {
          a: updateRepresentative(reference: "REP-001", input: {}) { representative { name } }
          b: deleteAssignee(by: { assigneeId: "asg-0007" }) { deleted }
          c: updateRepresentative(reference: "REP-002", input: {}) { representative { name } }
        }"""
    )
    found = events()
    assert [event["audit"] for event in found] == ["updateRepresentative", "deleteAssignee", "updateRepresentative"]
    assert [[call["call"] for call in event["calls"]] for event in found] == [
        ["PATCH /representatives/REP-001"],
        [found[1]["calls"][0]["call"]],
        ["PATCH /representatives/REP-002"],
    ]
    assert found[1]["calls"][0]["call"].endswith("/assignees/asg-0007")


async def test_queries_are_not_audited(gateway: Gateway, events: Events) -> None:
    """Reading leaves no event."""
    await gateway.ask('{ representative(reference: "REP-001") { name } }')
    assert events() == []


async def test_never_the_values(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of an input is in the log, whatever comes of it."""
    caplog.set_level(logging.DEBUG, "peoplegraph")
    for language in ("en", "xxx"):
        await gateway.ask(
            """mutation ($i: RepresentativeInput!, $a: AssigneeInput!, $r: RepInput!) {
              updateRepresentative(reference: "REP-001", input: $i) { created }
              updateAssignee(by: { assigneeId: "asg-0006" }, input: $a) { errors { message } }
              updateRep(repId: 1001, input: $r) { errors { message } }
            }""",
            i={
                "name": "PLANTED",
                "extraInfo": "PLANTED",
                "customFields": {"PLANTED": "PLANTED"},
                "language": language,
            },
            a={"firstName": "PLANTED", "email": "PLANTED@x.example", "address": {"city": "PLANTED"}},
            r={"title": "PLANTED", "phoneNumbers": [{"kind": "FAX", "number": "PLANTED"}]},
        )
    assert caplog.text.count('"audit"') == 6
    assert "PLANTED" not in caplog.text
