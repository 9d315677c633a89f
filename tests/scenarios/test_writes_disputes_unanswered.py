"""Writing assignees, where the answer does not have the record, or has another one."""

import json

import pytest

from tests.conftest import MakeGateway
from tests.scenarios.test_writes_disputes import CREATE, DELETE, REPLACE, UPDATE
from tests.scripted import http, scripted


async def test_a_write_without_an_answer_is_read_back(gateway_with: MakeGateway) -> None:
    """Where PUT, POST and DELETE answer without a body, the record is fetched if it is asked for."""
    body = """{"assigneeId": "A", "active": true, "allUpdates": true, "dailyDigest": true, "isDefault": true,
               "person": {"email": "a@b.example"}}"""

    def script(request: str) -> bytes:
        answer = f"[{body}]" if request.endswith("/assignees") else body
        return http(200, answer) if request.startswith("GET") else http(204)

    async with scripted(script) as upstream:
        gateway = await gateway_with(disputes={"url": upstream.url})
        by = {"assigneeId": "A"}
        given = {"email": "A@b.example"}
        for query, variables in (
            (CREATE, {}),
            (REPLACE, {"by": by}),
            (REPLACE, {"by": {"email": "a@b.example"}}),
        ):
            data = await gateway.data(query % "assignee { assigneeId } errors { message }", i=given, **variables)
            assert data["result"] == {"assignee": {"assigneeId": "A"}, "errors": []}
        assert (await gateway.data(DELETE, by=by))["result"]["deleted"] is True
        await gateway.data(CREATE % "errors { message }", i=given)
    assert [r.split()[0] for r in upstream.requests] == [
        "POST",
        "GET",
        "PUT",
        "GET",
        "PUT",
        "GET",
        "DELETE",
        "POST",
    ]


@pytest.mark.parametrize(
    ("given", "expected", "calls"),
    [
        ({"email": "E@x.example", "departmentId": "d2"}, "B", 1),
        ({"email": "e@x.example", "departmentCode": "TWO"}, "B", 2),
        ({"userId": "u", "departmentId": "d2"}, "C", 1),
        ({"email": "f@x.example"}, "D", 1),
        ({"email": "e@x.example"}, None, 1),
        ({"email": "e@x.example", "departmentCode": "NONE"}, None, 2),
        ({"email": "other@x.example", "departmentId": "d2"}, None, 1),
    ],
)
async def test_a_create_without_an_answer_finds_the_very_record(
    gateway_with: MakeGateway, given: dict[str, str], expected: str | None, calls: int
) -> None:
    """What was created is found by user or address in its own department, or nothing is passed off as it."""
    good = {"active": True, "allUpdates": True, "dailyDigest": True, "isDefault": False}
    rows = [
        good | {"assigneeId": "A", "departmentId": "d1", "person": {"email": "e@x.example"}, "userId": "u"},
        good | {"assigneeId": "B", "departmentId": "d2", "person": {"email": "e@x.example"}},
        good | {"assigneeId": "C", "departmentId": "d2", "userId": "u"},
        good | {"assigneeId": "D", "departmentId": "d2", "person": {"email": "f@x.example"}},
    ]

    def script(request: str) -> bytes:
        if request.startswith("POST"):
            return http(201)
        departments = [{"departmentId": "d1", "code": "ONE"}, {"departmentId": "d2", "code": "TWO"}]
        return http(200, json.dumps(departments if request.endswith("/departments") else rows))

    async with scripted(script) as upstream:
        gateway = await gateway_with(disputes={"url": upstream.url})
        reply = await gateway.ask(CREATE % "assignee { assigneeId } errors { message }", i=given)
    assert reply.data["result"] == {"assignee": expected and {"assigneeId": expected}, "errors": []}
    assert reply.codes == ({} if expected else {"result.assignee": "UPSTREAM_BAD_RESPONSE"})
    assert len(upstream.requests) == 1 + calls


async def test_a_write_that_hit_another_record_is_told(gateway_with: MakeGateway) -> None:
    """An answer to a write that has another id than the record that was read is not passed off as it."""
    row = """{"assigneeId": "%s", "active": true, "allUpdates": true, "dailyDigest": true, "isDefault": true,
              "person": {"email": "a@b.example"}}"""

    def script(request: str) -> bytes:
        return http(200, row % ("A" if request.startswith("GET") else "B"))

    async with scripted(script) as upstream:
        gateway = await gateway_with(disputes={"url": upstream.url})
        for given in ({"active": True}, {"departmentCode": "X"}):
            reply = await gateway.ask(UPDATE % "assignee { assigneeId }", by={"email": "a@b.example"}, i=given)
            assert reply.codes == {"result.assignee": "UPSTREAM_BAD_RESPONSE"}
