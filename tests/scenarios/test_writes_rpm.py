"""Writing reps: which calls each mutation makes, and what it answers."""

from typing import Any

import pytest

from peoplegraph.sandbox import rpm
from peoplegraph.sandbox.seed import human
from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.scripted import http, scripted

ERRORS = "errors { __typename message ... on InvalidInput { issues { path message } } }"
REP = "rep { repId name email enabled commissionsHidden relationship phoneNumbers { kind number typeCode } }"
CREATE = (
    "mutation ($i: CreateRepInput!, $invite: Boolean) { result: createRep(input: $i, inviteUser: $invite) { %s } }"
)
REPLACE = """mutation ($id: Int!, $i: RepInput!, $invite: Boolean) {
  result: replaceRep(repId: $id, input: $i, inviteUser: $invite, webhookEvaluate: true) { %s } }"""
UPDATE = REPLACE.replace("replace", "update")
NEW = {"agencyId": 3, "username": "new", "firstName": "New", "lastName": "Rep"}


def record(gateway: Gateway, rep_id: int) -> dict[str, Any]:
    """Return the record as RPM has it now."""
    found = gateway.sandbox.store.reps.get(str(rep_id))
    assert found is not None
    return found


async def test_create_sends_the_input_and_answers_with_the_record(gateway: Gateway) -> None:
    """RepAdd has the vendor's shape, absent fields absent; its answer is the record: one call."""
    given = NEW | {
        "isAlsoManager": True,
        "company": None,
        "enabled": True,
        "relationship": "SUB_AGENT",
        "title": "",
        "email": "new@northwind.example",
        "phoneNumbers": [{"kind": "OTHER", "number": "1"}, {"kind": "FAX", "number": "2"}],
        "fields": [{"name": "A", "value": None}, {"name": "B"}],
        "assignmentCodes": [{"supplierId": 2, "code": "X1"}],
    }
    data = await gateway.data(CREATE % f"{REP} {ERRORS}", i=given, invite=True)
    assert data["result"]["errors"] == []
    assert data["result"]["rep"] == {
        "repId": 1120 + 1,
        "name": "New Rep",
        "email": "new@northwind.example",
        "enabled": True,
        "commissionsHidden": False,
        "relationship": "SUB_AGENT",
        "phoneNumbers": [
            {"kind": "OTHER", "number": "1", "typeCode": 6},
            {"kind": "FAX", "number": "2", "typeCode": 3},
        ],
    }
    assert gateway.calls == ["RPM POST /RepAdd"]
    assert gateway.recorded[0].body == {
        "Rep": {
            "AgencyID": 3,
            "Username": "new",
            "IsAlsoManager": True,
            "Company": None,
            "Enabled": True,
            "Relationship": 1,
            "Contact": {
                "FirstName": "New",
                "LastName": "Rep",
                "Title": "",
                "Email": "new@northwind.example",
                "PhoneNumbers": [{"Type": 6, "Number": "1"}, {"Type": 3, "Number": "2"}],
            },
            "Fields": [{"Field": "A", "Value": None}, {"Field": "B"}],
            "AssignmentCodes": [{"SupplierID": 2, "AssignmentCode": "X1"}],
        },
        "InviteUser": True,
        "WebhookEvaluate": False,
    }


async def test_replace_sends_the_input_as_it_is(gateway: Gateway) -> None:
    """RepEdit gets what the input names and nothing else; RPM then resets the rest, `enabled` among it."""
    assert record(gateway, 1001)["Enabled"] is True
    data = await gateway.data(REPLACE % REP, id=1001, i={"firstName": "A", "lastName": "B"})
    assert data["result"]["rep"]["enabled"] is False
    assert gateway.calls == ["RPM POST /RepEdit"]
    assert gateway.recorded[0].body == {
        "Rep": {"RepID": 1001, "Contact": {"FirstName": "A", "LastName": "B"}},
        "InviteUser": False,
        "WebhookEvaluate": True,
    }


async def test_update_reads_merges_and_writes(gateway: Gateway) -> None:
    """An update keeps what the input does not name: what an edit resets, lists, names and unknown fields."""
    before = record(gateway, 1011)
    before |= {
        "Enabled": True,
        "CommissionsHidden": True,
        "Relationship": "Sub-agent",
        "Region": {"unknown": 1},
        "Contact": before["Contact"] | {"Website": "x"},
    }
    gateway.sandbox.store.reps.put("1011", before)
    data = await gateway.data(UPDATE % f"{REP} {ERRORS}", id=1011, i={"title": None, "email": ""})
    assert data["result"]["errors"] == []
    assert gateway.calls == ["RPM POST /Rep", "RPM POST /RepEdit"]
    sent = gateway.recorded[1].body["Rep"]
    contact = {k: v for k, v in before["Contact"].items() if k != "ContactID"}
    assert sent == {
        "RepID": 1011,
        "Username": before["Username"],
        "Enabled": True,
        "CommissionsHidden": True,
        "Relationship": 1,
        "Region": {"unknown": 1},
        "Contact": contact | {"Title": None, "Email": ""},
        "Fields": before["Fields"],
        "AssignmentCodes": before["AssignmentCodes"],
    }
    after = record(gateway, 1011)
    assert after == before | {
        "Contact": before["Contact"] | {"Title": None, "Email": ""},
        "Modified": after["Modified"],
    }


async def test_update_replaces_lists_whole(gateway: Gateway) -> None:
    """A list is as the input has it: numbers keep their ids by type, unknown types stay, null empties."""
    data = await gateway.data(
        UPDATE % REP,
        id=1007,
        i={
            "phoneNumbers": [{"kind": "BUSINESS", "number": "new"}, {"kind": "FAX", "number": "fax"}],
            "fields": None,
            "assignmentCodes": [],
        },
    )
    assert data["result"]["rep"]["phoneNumbers"] == [
        {"kind": "BUSINESS", "number": "new", "typeCode": 1},
        {"kind": "FAX", "number": "fax", "typeCode": 3},
        {"kind": "OTHER", "number": "2125555007", "typeCode": 5},
    ]
    sent = gateway.recorded[1].body["Rep"]
    assert sent["Contact"]["PhoneNumbers"] == [
        {"Type": 1, "Number": "new", "PhoneNumberID": 71},
        {"Type": 3, "Number": "fax"},
        {"Type": 5, "Number": "2125555007", "PhoneNumberID": 75},
    ]
    assert sent["Fields"] == sent["AssignmentCodes"] == []


async def test_update_counts_numbers_of_unknown_types(gateway: Gateway) -> None:
    """Four numbers beside one of an unknown type are five: InvalidInput, and no write."""
    kinds = ("BUSINESS", "HOME", "FAX", "OTHER")
    numbers = [{"kind": kind, "number": "1"} for kind in kinds]
    data = await gateway.data(UPDATE % ERRORS, id=1007, i={"phoneNumbers": numbers})
    assert data["result"]["errors"][0]["issues"][0]["path"] == ["input", "phoneNumbers"]
    assert gateway.writes == []
    data = await gateway.data(UPDATE % ERRORS, id=1006, i={"phoneNumbers": numbers})
    assert data["result"]["errors"] == []


PHONES = [{"kind": k, "number": "1"} for k in ("BUSINESS", "HOME", "FAX", "OTHER", "OTHER")]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"enabled": None}, ["input", "enabled"]),
        ({"commissionsHidden": None}, ["input", "commissionsHidden"]),
        ({"relationship": None}, ["input", "relationship"]),
        ({"firstName": None}, ["input", "firstName"]),
        ({"lastName": None}, ["input", "lastName"]),
        ({"phoneNumbers": [PHONES[0], {"kind": "MOBILE", "number": "1"}]}, ["input", "phoneNumbers", "1"]),
        ({"phoneNumbers": [PHONES[0], PHONES[0]]}, ["input", "phoneNumbers", "1"]),
        ({"phoneNumbers": PHONES}, ["input", "phoneNumbers", "4"]),
    ],
)
async def test_what_is_known_to_be_refused_is_not_sent(
    gateway: Gateway, given: dict[str, Any], path: list[str]
) -> None:
    """Nulls where RPM has none, a mobile phone, a kind twice, a fifth number: InvalidInput, and no call."""
    names = {"firstName": "A", "lastName": "B"}
    questions: list[tuple[str, dict[str, Any]]] = [
        (UPDATE, {"id": 1001, "i": given}),
        (REPLACE, {"id": 1001, "i": names | given}),
    ]
    if not set(names) & set(given):
        questions.append((CREATE, {"i": NEW | given}))
    for query, variables in questions:
        data = await gateway.data(query % ERRORS, **variables)
        (error,) = data["result"]["errors"]
        assert error["__typename"] == "InvalidInput"
        assert [issue["path"] for issue in error["issues"]] == [path]
        assert gateway.calls == []


async def test_is_also_manager_may_not_be_null(gateway: Gateway) -> None:
    """The boolean that only a create has is no exception."""
    data = await gateway.data(CREATE % ERRORS, i=NEW | {"isAlsoManager": None})
    assert data["result"]["errors"][0]["issues"][0]["path"] == ["input", "isAlsoManager"]
    assert gateway.calls == []


async def test_replace_needs_both_names(gateway: Gateway) -> None:
    """RPM requires first and last name on every edit: one left out is InvalidInput, and no call."""
    data = await gateway.data(REPLACE % ERRORS, id=1001, i={"enabled": True})
    assert [i["path"] for i in data["result"]["errors"][0]["issues"]] == [
        ["input", "firstName"],
        ["input", "lastName"],
    ]
    assert gateway.calls == []


@pytest.mark.parametrize("mutation", [UPDATE, REPLACE])
async def test_an_edit_of_nobody_is_not_found(gateway: Gateway, mutation: str) -> None:
    """`Rep not found` is NotFound as data."""
    data = await gateway.data(mutation % f"{REP} {ERRORS}", id=4, i={"firstName": "A", "lastName": "B"})
    assert data["result"] == {
        "rep": None,
        "errors": [{"__typename": "NotFound", "message": "RPM: Rep not found"}],
    }


@pytest.mark.parametrize(
    ("given", "invite", "path", "message"),
    [
        ({"email": "nonsense"}, True, ["input", "email"], "Invite requires a valid email address"),
        ({"agencyId": 99}, False, ["input", "agencyId"], "Agency not found"),
        (
            {"assignmentCodes": [{"supplierId": 99, "code": "x"}]},
            False,
            ["input", "assignmentCodes"],
            "Supplier not found",
        ),
    ],
)
async def test_rpms_messages_lead_to_the_fields_of_the_input(
    gateway: Gateway, given: dict[str, Any], invite: bool, path: list[str], message: str
) -> None:
    """A message with HTTP 200 is InvalidInput at the place that it means, and nothing is written."""
    before = len(gateway.sandbox.store.reps)
    data = await gateway.data(CREATE % f"{REP} {ERRORS}", i=NEW | given, invite=invite)
    assert data["result"]["rep"] is None
    (error,) = data["result"]["errors"]
    assert error == {
        "__typename": "InvalidInput",
        "message": f"RPM: {message}",
        "issues": [{"path": path, "message": message}],
    }
    assert len(gateway.sandbox.store.reps) == before


MESSAGES = [
    ("Rep not found", "NotFound", None),
    ("Invite requires a valid email address", "InvalidInput", ["input", "email"]),
    ('Call requires parameter: "Contact.FirstName" which was not found', "InvalidInput", ["input", "firstName"]),
    ('Call requires parameter: "Contact.LastName" which was not found', "InvalidInput", ["input", "lastName"]),
    ('Call requires parameter: "Rep" which was not found', "InvalidInput", None),
    ("Unrecognized type for phone number: 4", "InvalidInput", ["input", "phoneNumbers"]),
    ("Agency not found", "InvalidInput", ["input", "agencyId"]),
    ("Supplier not found", "InvalidInput", ["input", "assignmentCodes"]),
    ("Unauthorized user", "PermissionDenied", None),
    ("User lacks permission", "PermissionDenied", None),
    ("Something else entirely", "InvalidInput", None),
    ("Valid key required", "UPSTREAM_UNAUTHORIZED", None),
    ("Key not found, sorry", "UPSTREAM_UNAUTHORIZED", None),
    ("API daily limit reached", "UPSTREAM_RATE_LIMITED", None),
]


@pytest.mark.parametrize("shape", ['"{}"', '{{"Message": "{}"}}'])
@pytest.mark.parametrize(("message", "meaning", "path"), MESSAGES)
async def test_every_message_of_a_write_has_its_meaning(
    gateway_with: MakeGateway, shape: str, message: str, meaning: str, path: list[str] | None
) -> None:
    """Each of RPM's messages, in both shapes, is the refusal or the error that it stands for."""
    body = '{"Result": {"Error": %s}}' % shape.format(message.replace('"', '\\"'))
    async with scripted(lambda _: http(200, body)) as upstream:
        gateway = await gateway_with(rpm={"url": upstream.url})
        reply = await gateway.ask(CREATE % f"{REP} {ERRORS}", i=NEW)
    if meaning.startswith("UPSTREAM"):
        assert reply.data == {"result": None}
        assert reply.codes == {"result": meaning}
        return
    assert reply.errors == []
    (error,) = reply.data["result"]["errors"]
    assert error["__typename"] == meaning
    assert error["message"] == f"RPM: {message}"
    assert [i["path"] for i in error.get("issues", [])] == ([path] if path else [])


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Valid key required", "UPSTREAM_UNAUTHORIZED"),
        ("Key not found", "UPSTREAM_UNAUTHORIZED"),
        ("Unauthorized user", "FORBIDDEN"),
        ("User lacks permission", "FORBIDDEN"),
        ("API daily limit reached", "UPSTREAM_RATE_LIMITED"),
        ("Something else", "UPSTREAM_BAD_RESPONSE"),
        ("Agency not found", None),
        ("Supplier not found", None),
        ("Rep not found", None),
    ],
)
async def test_every_message_of_a_read_has_its_meaning(
    gateway_with: MakeGateway, message: str, code: str | None
) -> None:
    """On a read RPM's messages are errors with a code, and `not found` is null without one."""
    async with scripted(lambda _: http(200, '{"Result": {"Error": "%s"}}' % message)) as upstream:
        gateway = await gateway_with(rpm={"url": upstream.url})
        reply = await gateway.ask("{ rep(by: { repId: 1 }) { name } }")
    assert reply.data == {"rep": None}
    assert reply.codes == ({"rep": code} if code else {})


async def test_keys_and_limits_are_refused_as_rpm_refuses_them(gateway_with: MakeGateway) -> None:
    """The emulated RPM's own refusals: an unknown key, a key without permission, a plan at its end."""
    gateway = await gateway_with(rpm={"api_key": "wrong"})
    assert (await gateway.ask(CREATE % ERRORS, i=NEW)).codes == {"result": "UPSTREAM_UNAUTHORIZED"}
    gateway = await gateway_with(rpm={"api_key": rpm.REP_ONLY_KEY})
    data = await gateway.data(CREATE % ERRORS, i=NEW)
    assert data["result"]["errors"] == [{"__typename": "PermissionDenied", "message": "RPM: User lacks permission"}]
    gateway = await gateway_with()
    gateway.sandbox.rpm.calls_left = 1
    reply = await gateway.ask(UPDATE % ERRORS, id=1001, i={"title": "x"})
    assert reply.codes == {"result": "UPSTREAM_RATE_LIMITED"}
    assert reply.errors[0]["extensions"]["retryable"] is True


@pytest.mark.parametrize("missing", ["Enabled", "CommissionsHidden", "Relationship"])
async def test_an_update_that_would_reset_blindly_is_not_written(gateway: Gateway, missing: str) -> None:
    """Where RPM's answer lacks what an edit resets, there is an error and no write."""
    rep = record(gateway, 1001)
    del rep[missing]
    gateway.sandbox.store.reps.put("1001", rep)
    reply = await gateway.ask(UPDATE % REP, id=1001, i={"title": "x"})
    assert reply.codes == {"result": "UPSTREAM_BAD_RESPONSE"}
    assert gateway.writes == []


async def test_an_update_of_an_unknown_relationship_is_not_written(gateway: Gateway) -> None:
    """A relationship that cannot be read spoils its own field, and stops an update."""
    gateway.sandbox.store.reps.put("1001", record(gateway, 1001) | {"Relationship": "Cousin"})
    reply = await gateway.ask("{ rep(by: { repId: 1001 }) { repId relationship } }")
    assert reply.data == {"rep": {"repId": 1001, "relationship": None}}
    assert reply.codes == {"rep.relationship": "UPSTREAM_BAD_RESPONSE"}
    assert (await gateway.ask(UPDATE % REP, id=1001, i={"title": "x"})).codes == {"result": "UPSTREAM_BAD_RESPONSE"}
    assert gateway.writes == []


async def test_a_rep_is_known_by_id_after_it_was_written(gateway: Gateway) -> None:
    """The write's answer is the record, and in the same document nothing older is answered."""
    data = await gateway.data(
        """mutation {
          one: updateRep(repId: 1001, input: { firstName: "One" }) { rep { firstName } }
          two: updateRep(repId: 1001, input: { lastName: "Two" }) { rep { firstName lastName name } }
        }"""
    )
    assert data["two"]["rep"] == {"firstName": "One", "lastName": "Two", "name": "One Two"}
    assert human(1)[0] != "One"


async def test_another_rep_is_not_written_over(gateway_with: MakeGateway) -> None:
    """A read before a merge that answers with another rep stops the update: nothing is written."""
    body = """{"Result": {"RepID": 1002, "Enabled": true, "CommissionsHidden": true, "Relationship": "Employee"}}"""
    async with scripted(lambda _: http(200, body)) as upstream:
        gateway = await gateway_with(rpm={"url": upstream.url})
        reply = await gateway.ask(UPDATE % REP, id=1001, i={"title": "x"})
    assert reply.codes == {"result": "UPSTREAM_BAD_RESPONSE"}
    assert upstream.requests == ["POST /Rep"]


async def test_a_rep_without_a_name_can_be_updated(gateway: Gateway) -> None:
    """Where RPM has no first name an update sends an empty one, and is not refused for what it did not name."""
    rep = record(gateway, 1001)
    rep["Contact"]["FirstName"] = None
    gateway.sandbox.store.reps.put("1001", rep)
    data = await gateway.data(UPDATE % ERRORS, id=1001, i={"title": "x"})
    assert data["result"]["errors"] == []
    assert gateway.recorded[1].body["Rep"]["Contact"]["FirstName"] == ""
