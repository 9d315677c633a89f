"""Answers that vary: what is read leniently, what is refused, and what is never taken for what it is not."""

import json

import pytest

from peoplegraph.sandbox.seed import human
from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.scenarios.test_failures import READS, WRITES, ask_scripted
from tests.scripted import http


async def test_a_broken_row_spoils_only_what_needs_it(gateway_with: MakeGateway) -> None:
    """In a list call with a row that cannot be understood the others are found; the list itself is an error."""
    good = {"active": True, "allUpdates": True, "dailyDigest": True, "isDefault": False}
    rows = [good | {"assigneeId": "A", "person": {"email": "a@b.example"}}, {"assigneeId": "B"}, good | {"x": "?"}]
    query = """{
      found: assignee(by: { email: "A@B.example" }) { assigneeId }
      lost: assignee(by: { assigneeId: "B" }) { assigneeId }
      assignees { totalCount }
    }"""
    body = json.dumps(rows).encode().replace(b"?", b"\xff")
    reply, requests = await ask_scripted(gateway_with, "disputes", lambda _: http(200, body), query)
    assert reply.data == {"found": {"assigneeId": "A"}, "lost": None, "assignees": None}
    assert reply.codes == {"lost": "UPSTREAM_BAD_RESPONSE", "assignees": "UPSTREAM_BAD_RESPONSE"}
    assert len(requests) == 1


async def test_rows_are_found_by_key_never_by_position(gateway_with: MakeGateway) -> None:
    """Rows shuffled, dropped and doubled: each look-up has its own record or null, each row is listed once."""
    good = {"active": True, "allUpdates": True, "dailyDigest": True, "isDefault": False}
    rows = [good | {"assigneeId": key, "userId": f"u{n}"} for n, key in enumerate("DBABX")]
    query = "query { " + " ".join(
        f'{k}: assignee(by: {{ assigneeId: "{k}" }}) {{ assigneeId userId }}' for k in "ABCD"
    )
    query += " assignees { nodes { assigneeId } totalCount } }"
    reply, _ = await ask_scripted(gateway_with, "disputes", lambda _: http(200, json.dumps(rows)), query)
    assert reply.errors == []
    assert reply.data == {
        "A": {"assigneeId": "A", "userId": "u2"},
        "B": {"assigneeId": "B", "userId": "u1"},
        "C": None,
        "D": {"assigneeId": "D", "userId": "u0"},
        "assignees": {"nodes": [{"assigneeId": k} for k in "DBAX"], "totalCount": 4},
    }


async def test_users_are_found_by_key_never_by_position(gateway_with: MakeGateway) -> None:
    """AgentUsers shuffled, dropped and doubled: each rep has its own entry, and who is missing is unknown."""
    users = [{"RepID": n, "Name": f"N{i}"} for i, n in enumerate((3, 1, 0, 1))]

    answer = http(200, json.dumps({"Result": {"AgentUsers": users}}))
    query = "{ reps(repIds: [1, 2, 3]) { repId name } }"
    reply, requests = await ask_scripted(gateway_with, "rpm", lambda _: answer, query)
    assert reply.data == {"reps": [{"repId": 1, "name": "N1"}, None, {"repId": 3, "name": "N0"}]}
    assert requests == ["POST /AgentUsers"]


ENVELOPES = [
    '["1", "2"]',
    '[{"account_number": "1"}, {"account_number": "2"}]',
    '{"accounts": ["1", "2"], "total": 2}',
    '{"items": ["1", {"account_number": "2"}], "total_count": 2}',
    '{"data": ["1", "2"], "totalCount": 2, "more": {}}',
    '{"results": ["1", "2"]}',
]


@pytest.mark.parametrize("page", ENVELOPES)
async def test_every_envelope_of_a_page_is_read(gateway_with: MakeGateway, page: str) -> None:
    """A page of a sub-list is read in each shape that the vendor may mean."""

    def script(request: str) -> bytes:
        return http(200, page if "/accounts?" in request else '{"name": null}')

    query = """{ representative(reference: "A") { accounts(first: 2) {
      nodes { number } totalCount pageInfo { hasNextPage } } } }"""
    reply, requests = await ask_scripted(gateway_with, "collections", script, query)
    assert reply.errors == []
    accounts = reply.data["representative"]["accounts"]
    assert accounts["nodes"] == [{"number": "1"}, {"number": "2"}]
    assert accounts["totalCount"] == 2
    assert accounts["pageInfo"]["hasNextPage"] is False
    assert requests == ["GET /representatives/A", "GET /representatives/A/accounts?page=1&limit=100"]


@pytest.mark.parametrize(
    "page",
    [
        '{"documents": ["1"]}',
        "{}",
        '[{"document_number": "1"}]',
        "[1]",
        json.dumps([str(n) for n in range(101)]),
        '{"items": ["1"], "total": -1}',
        '{"items": ["1"], "total": "7"}',
        '{"items": ["1"], "total": 7}',
        '{"items": ["1", "2"], "total": 1}',
        '{"items": ["1"], "total": 0}',
    ],
)
async def test_a_page_that_is_none_is_refused(gateway_with: MakeGateway, page: str) -> None:
    """A page without its list or numbers, longer than asked for, or at odds with its total: BAD_RESPONSE."""

    def script(request: str) -> bytes:
        return http(200, page if "/accounts?" in request else '{"name": "x"}')

    query = '{ representative(reference: "A") { name accounts { totalCount } } }'
    reply, _ = await ask_scripted(gateway_with, "collections", script, query)
    assert reply.data == {"representative": {"name": "x", "accounts": None}}
    assert reply.codes == {"representative.accounts": "UPSTREAM_BAD_RESPONSE"}


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (422, '{"message": "a\\u0000b\\r\\nc"}', "a b c"),
        (422, '{"error": "bad"}', "bad"),
        (400, '{"detail": "bad"}', "bad"),
        (409, '{"errors": ["one", {"message": "two", "field": "x"}, 5]}', "one; x: two"),
        (422, '{"message": "' + "x" * 600 + '"}', "x" * 500),
        (422, '{"message": 5, "errors": 7}', "the input is not valid"),
        (422, "<html>secret</html>", "the input is not valid"),
        (404, '{"message": "secret path"}', "not found"),
    ],
)
async def test_refusals_are_quoted_with_care(
    gateway_with: MakeGateway, status: int, body: str, message: str
) -> None:
    """A refusal's words are quoted wherever they are: cut, without control characters, or not at all."""
    reply, _ = await ask_scripted(gateway_with, "collections", lambda _: http(status, body), WRITES["collections"])
    assert reply.data["result"]["errors"] == [{"message": f"Billtrust Collections: {message}"}]


async def test_a_bad_date_spoils_its_own_field(gateway_with: MakeGateway) -> None:
    """A date that is not ISO 8601 is an error of that field alone."""
    body = """{"assigneeId": "A", "active": true, "allUpdates": true, "dailyDigest": true, "isDefault": true,
               "createDate": "yesterday", "updateDate": null}"""
    query = '{ assignee(by: { assigneeId: "A" }) { assigneeId createdAt updatedAt displayName email } }'
    reply, _ = await ask_scripted(gateway_with, "disputes", lambda _: http(200, body), query)
    assert reply.data["assignee"] == {
        "assigneeId": "A",
        "createdAt": None,
        "updatedAt": None,
        "displayName": None,
        "email": None,
    }
    assert reply.codes == {"assignee.createdAt": "UPSTREAM_BAD_RESPONSE"}


async def test_lists_that_are_missing_are_empty(gateway_with: MakeGateway) -> None:
    """A rep with nothing but its id is a rep."""
    query = """{ rep(by: { repId: 7 }) { repId displayName email phoneNumbers { number } fields { name }
      assignmentCodes { code } notesForStaff { note } agency { name } relationship managerId } }"""
    body = '{"Result": {"RepID": 7, "MgrID": 0, "Contact": null, "Fields": null}}'
    reply, _ = await ask_scripted(gateway_with, "rpm", lambda _: http(200, body), query)
    assert reply.data["rep"] == {
        "repId": 7,
        "displayName": None,
        "email": None,
        "phoneNumbers": [],
        "fields": [],
        "assignmentCodes": [],
        "notesForStaff": [],
        "agency": None,
        "relationship": None,
        "managerId": None,
    }


async def test_the_emails_of_a_list_may_be_missing(gateway: Gateway) -> None:
    """An assignee without an address is in the list, and in nobody's way."""
    record = gateway.sandbox.store.assignees.get("asg-0010")
    assert record is not None
    gateway.sandbox.store.assignees.put("asg-0010", record | {"person": None, "isDefault": False})
    data = await gateway.data(
        "query ($e: String!) { assignees { totalCount } assignee(by: { email: $e }) { assigneeId } }",
        e=human(11)[2],
    )
    assert data == {"assignees": {"totalCount": 250}, "assignee": {"assigneeId": "asg-0011"}}


@pytest.mark.parametrize(
    ("system", "body", "query", "path"),
    [
        (
            "collections",
            '{"name": "x", "accounts": [1]}',
            '{ result: representative(reference: "A") { name accounts { totalCount } } }',
            "accounts",
        ),
        (
            "rpm",
            '{"Result": {"RepID": 7, "Rep": "x", "Contact": {"PhoneNumbers": [{"Number": "1"}]}}}',
            "{ result: rep(by: { repId: 7 }) { name phoneNumbers { kind } } }",
            "phoneNumbers",
        ),
    ],
)
async def test_a_broken_list_spoils_nothing_where_it_is_not_asked_for(
    gateway_with: MakeGateway, system: str, body: str, query: str, path: str
) -> None:
    """A list that cannot be understood is an error at its own field, and none without it."""
    reply, _ = await ask_scripted(gateway_with, system, lambda _: http(200, body), query)
    assert reply.codes == {f"result.{path}": "UPSTREAM_BAD_RESPONSE"}
    alone = "{ " + query.split("{ ")[1] + "{ name } }" if system == "collections" else READS["rpm"]
    reply, _ = await ask_scripted(gateway_with, system, lambda _: http(200, body), alone)
    assert reply.data == {"result": {"name": "x"}}


async def test_custom_fields_too_deep_to_answer_with(gateway_with: MakeGateway) -> None:
    """JSON that could be read and not be written again is an error of its field."""
    body = '{"name": "x", "custom_fields": ' + '{"a":' * 500 + "1" + "}" * 501
    query = '{ result: representative(reference: "A") { name customFields } }'
    reply, _ = await ask_scripted(gateway_with, "collections", lambda _: http(200, body), query)
    assert reply.data == {"result": {"name": "x", "customFields": None}}
    assert reply.codes == {"result.customFields": "UPSTREAM_BAD_RESPONSE"}


async def test_a_message_that_no_page_prints_is_not_quoted(gateway_with: MakeGateway) -> None:
    """What RPM says on a read may have anything in it, and stays in the gateway."""
    body = '{"Result": {"Error": "at http://10.0.0.1/secret"}}'
    reply, _ = await ask_scripted(gateway_with, "rpm", lambda _: http(200, body), READS["rpm"])
    assert reply.codes == {"result": "UPSTREAM_BAD_RESPONSE"}
    assert "secret" not in reply.response.text
