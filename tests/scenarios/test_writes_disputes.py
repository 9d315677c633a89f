"""Writing assignees: which calls each mutation makes, and what it answers."""

from typing import Any

import pytest

from peoplegraph.sandbox import disputes
from peoplegraph.sandbox.seed import human
from tests.conftest import MakeGateway
from tests.gateway import Gateway

BASE = "DISPUTES {} /tenants/sandbox-tenant/assignees"
ERRORS = """errors {
  __typename message ... on InvalidInput { issues { path message } } ... on PermissionDenied { permission }
}"""
ALL = f"assignee {{ assigneeId email active dailyDigest isDefault departmentId }} {ERRORS}"
CREATE = "mutation ($i: AssigneeInput!) { result: createAssignee(input: $i) { %s } }"
REPLACE = (
    "mutation ($by: AssigneeLookup!, $i: AssigneeInput!) { result: replaceAssignee(by: $by, input: $i) { %s } }"
)
UPDATE = REPLACE.replace("replace", "update")
DELETE = """mutation ($by: AssigneeDeletion!) {
  result: deleteAssignee(by: $by) { deleted errors { __typename message } } }"""


def record(gateway: Gateway, assignee_id: str) -> dict[str, Any]:
    """Return the record as Disputes has it now."""
    found = gateway.sandbox.store.assignees.get(assignee_id)
    assert found is not None
    return found


def email_target(number: int) -> str:
    """Return the path below the tenant's assignees for the human `number`."""
    return f"/by-email/{human(number)[2].replace('@', '%40')}"


async def test_create_sends_the_input_and_answers_with_the_record(gateway: Gateway) -> None:
    """POST has the person's fields under `person`, absent ones absent; its answer is the record: one call."""
    given = {
        "departmentCode": "LEGAL",
        "active": True,
        "isDefault": False,
        "email": "new@northwind.example",
        "firstName": "New",
        "fax": None,
        "title": "",
        "address": {"city": "Rome", "zip": None},
    }
    data = await gateway.data(CREATE % ALL, i=given)
    created = data["result"]["assignee"]
    assert data["result"]["errors"] == []
    assert (created["email"], created["active"], created["departmentId"]) == (
        "new@northwind.example",
        True,
        "dep-08",
    )
    assert gateway.calls == [BASE.format("POST")]
    assert gateway.recorded[0].body == {
        "departmentCode": "LEGAL",
        "active": True,
        "isDefault": False,
        "person": {
            "email": "new@northwind.example",
            "firstName": "New",
            "fax": None,
            "title": "",
            "address": {"city": "Rome", "zip": None},
        },
    }


async def test_create_with_a_user_lets_disputes_fill_the_person_in(gateway: Gateway) -> None:
    """With `userId` the person is the user's, whatever the input says."""
    data = await gateway.data(
        CREATE % "assignee { email firstName userId }",
        i={"departmentId": "dep-08", "userId": "user-0005", "firstName": "Ignored"},
    )
    assert data["result"]["assignee"] == {"email": human(5)[2], "firstName": human(5)[0], "userId": "user-0005"}


async def test_create_twice_is_already_exists(gateway: Gateway) -> None:
    """The same create again is refused by Disputes, and there is one record."""
    given = {"departmentId": "dep-08", "email": "twice@northwind.example"}
    await gateway.data(CREATE % ERRORS, i=given)
    data = await gateway.data(CREATE % ALL, i=given)
    assert data["result"]["assignee"] is None
    assert data["result"]["errors"][0]["__typename"] == "AlreadyExists"
    assert sum(a["person"]["email"] == given["email"] for a in gateway.sandbox.store.assignees) == 1


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, ["input"]),
        ({"firstName": "X"}, ["input"]),
        ({"email": None}, ["input"]),
        ({"email": "", "userId": ""}, ["input"]),
        ({"email": "a@b.example", "active": None}, ["input", "active"]),
        ({"email": "a@b.example", "allUpdates": None}, ["input", "allUpdates"]),
        ({"email": "a@b.example", "dailyDigest": None}, ["input", "dailyDigest"]),
        ({"email": "a@b.example", "isDefault": None}, ["input", "isDefault"]),
        ({"email": "a@b.example", "departmentId": "x", "departmentCode": "y"}, ["input", "departmentCode"]),
    ],
)
async def test_what_is_known_to_be_refused_is_not_sent(
    gateway: Gateway, given: dict[str, Any], path: list[str]
) -> None:
    """Neither user nor email, a null boolean, a department twice: InvalidInput at its place, and no call."""
    for mutation, variables in (
        (CREATE, {}),
        (REPLACE, {"by": {"assigneeId": "asg-0001"}}),
        (REPLACE, {"by": {"email": human(1)[2]}}),
    ):
        if "departmentCode" in given and variables.get("by", {}).get("assigneeId"):
            continue
        data = await gateway.data(mutation % ERRORS, i=given, **variables)
        (error,) = data["result"]["errors"]
        assert error["__typename"] == "InvalidInput"
        assert [issue["path"] for issue in error["issues"]] == [path]
        assert gateway.calls == []


@pytest.mark.parametrize("mutation", [REPLACE, UPDATE])
async def test_a_department_code_by_id_is_refused(gateway: Gateway, mutation: str) -> None:
    """`departmentCode` together with `by.assigneeId` is InvalidInput before any call."""
    data = await gateway.data(
        mutation % ERRORS,
        by={"assigneeId": "asg-0001"},
        i={"departmentCode": "TAX", "email": "a@b.example"},
    )
    assert data["result"]["errors"][0]["issues"] == [
        {
            "path": ["input", "departmentCode"],
            "message": "departmentCode is not accepted with by.assigneeId; use departmentId",
        }
    ]
    assert gateway.calls == []


async def test_replace_by_id_resets_what_is_left_out(gateway: Gateway) -> None:
    """PUT by id sends the input as it is; Disputes makes the booleans false and empties the person."""
    data = await gateway.data(
        REPLACE % ALL,
        by={"assigneeId": "asg-0006"},
        i={"departmentId": "dep-07", "email": human(6)[2]},
    )
    assert data["result"]["assignee"]["active"] is False
    assert gateway.calls == [BASE.format("PUT") + "/asg-0006"]
    assert gateway.recorded[0].body == {"departmentId": "dep-07", "person": {"email": human(6)[2]}}
    assert record(gateway, "asg-0006")["person"]["firstName"] is None


async def test_replace_by_email_takes_the_department_code(gateway: Gateway) -> None:
    """PUT by email sends the address as it is spelled, and may name the department by its code."""
    data = await gateway.data(
        REPLACE % ALL,
        by={"email": human(60)[2].upper()},
        i={"departmentCode": "TAX", "email": human(60)[2]},
    )
    assert data["result"]["assignee"]["departmentId"] == "dep-06"
    assert gateway.calls == [BASE.format("PUT") + "/by-email/" + human(60)[2].upper().replace("@", "%40")]


async def test_update_reads_merges_and_writes(gateway: Gateway) -> None:
    """An update keeps what the input does not name, the address's lines and unknown fields among it."""
    before = record(gateway, "asg-0006")
    before |= {"notes": {"shape": "unknown"}, "person": {**before["person"], "pronouns": "they"}}
    gateway.sandbox.store.assignees.put("asg-0006", before)
    data = await gateway.data(
        UPDATE % ALL,
        by={"assigneeId": "asg-0006"},
        i={"dailyDigest": False, "officePhone": None, "title": "", "address": {"city": "Rome"}},
    )
    assert data["result"]["errors"] == []
    assert data["result"]["assignee"]["active"] is True
    assert [str(call).split("/")[0] for call in gateway.recorded] == ["GET ", "PUT "]
    after = record(gateway, "asg-0006")
    person = before["person"] | {"officePhone": None, "title": ""}
    person["address"] = before["person"]["address"] | {"city": "Rome"}
    stamps = {name: after[name] for name in ("updateDate", "updateUser")}
    assert after == before | {"dailyDigest": False, "person": person} | stamps
    sent = gateway.recorded[1].body
    assert not {"id", "assigneeId", "tenantId", "createUser", "createDate", "updateUser", "updateDate"} & set(sent)


async def test_update_clears_an_address_whole(gateway: Gateway) -> None:
    """`address: null` clears it; an address where there was none is made of what is named."""
    by = {"assigneeId": "asg-0006"}
    await gateway.data(UPDATE % ERRORS, by=by, i={"address": None})
    assert record(gateway, "asg-0006")["person"]["address"] is None
    await gateway.data(UPDATE % ERRORS, by=by, i={"address": {"city": "Rome"}})
    assert record(gateway, "asg-0006")["person"]["address"]["city"] == "Rome"


async def test_update_by_email_writes_to_the_record_that_it_read(gateway: Gateway) -> None:
    """By email the read finds the record, and the write goes to its id."""
    data = await gateway.data(UPDATE % ALL, by={"email": human(7)[2]}, i={"active": False})
    assert data["result"]["assignee"]["assigneeId"] == "asg-0007"
    assert [str(c) for c in gateway.recorded] == [
        f"GET /tenants/sandbox-tenant/assignees{email_target(7)}",
        "PUT /tenants/sandbox-tenant/assignees/asg-0007",
    ]


async def test_update_by_email_with_a_department_code(gateway: Gateway) -> None:
    """With `departmentCode` the write goes by email, too, and the code takes the id's place."""
    data = await gateway.data(UPDATE % ALL, by={"email": human(60)[2]}, i={"departmentCode": "LEGAL"})
    assert data["result"]["assignee"]["departmentId"] == "dep-08"
    assert gateway.writes == [BASE.format("PUT") + email_target(60)]
    assert "departmentId" not in gateway.recorded[1].body


@pytest.mark.parametrize(
    ("given", "calls"),
    [({"email": None, "userId": None}, 0), ({"email": None}, 1), ({"email": ""}, 1)],
)
async def test_update_never_leaves_neither_user_nor_email(
    gateway: Gateway, given: dict[str, Any], calls: int
) -> None:
    """An update after which there would be neither is refused: at once, or after the read that shows it."""
    data = await gateway.data(UPDATE % ERRORS, by={"assigneeId": "asg-0006"}, i=given)
    assert data["result"]["errors"][0]["issues"][0]["path"] == ["input"]
    assert len(gateway.calls) == calls
    assert gateway.writes == []


async def test_update_of_nobody_is_not_found(gateway: Gateway) -> None:
    """404 on the read is NotFound, and there is no write."""
    data = await gateway.data(UPDATE % ALL, by={"assigneeId": "nope"}, i={"active": True})
    assert data["result"] == {
        "assignee": None,
        "errors": [{"__typename": "NotFound", "message": "Billtrust Disputes: not found"}],
    }
    assert gateway.writes == []


async def test_a_422_leads_to_the_fields_of_the_input(gateway: Gateway) -> None:
    """The fields that Disputes refuses are named as the GraphQL input names them."""
    data = await gateway.data(CREATE % ERRORS, i={"email": "nonsense", "departmentCode": "NOPE"})
    (error,) = data["result"]["errors"]
    assert error["issues"] == [
        {"path": ["input", "email"], "message": "email is not a valid address"},
        {"path": ["input", "departmentCode"], "message": "there is no such department"},
    ]


async def test_a_missing_permission_is_named(gateway_with: MakeGateway) -> None:
    """403 on a write is PermissionDenied with the permission that the vendor's page names."""
    gateway = await gateway_with(disputes={"api_key": disputes.READ_ONLY_KEY})
    by = {"assigneeId": "asg-0001"}
    for query, variables, permission in (
        (CREATE % ERRORS, {"i": {"email": "a@b.example", "departmentId": "dep-01"}}, "CREATE"),
        (UPDATE % ERRORS, {"by": by, "i": {"active": True}}, "UPDATE"),
        (REPLACE % ERRORS, {"by": by, "i": {"email": "a@b.example"}}, "UPDATE"),
    ):
        data = await gateway.data(query, **variables)
        (error,) = data["result"]["errors"]
        assert error["__typename"] == "PermissionDenied"
        assert error["permission"] == f"Dispute Configuration : {permission}"


async def test_delete_by_id_and_again(gateway: Gateway) -> None:
    """A delete deletes; repeating it answers `deleted: false` and NotFound, and does no harm."""
    data = await gateway.data(DELETE, by={"assigneeId": "asg-0009"})
    assert data["result"] == {"deleted": True, "errors": []}
    assert gateway.calls == [BASE.format("DELETE") + "/asg-0009"]
    data = await gateway.data(DELETE, by={"assigneeId": "asg-0009"})
    assert data["result"]["deleted"] is False
    assert data["result"]["errors"][0]["__typename"] == "NotFound"


async def test_delete_by_department_and_email(gateway: Gateway) -> None:
    """A delete by email is of one department, named by its code, and leaves other departments' records."""
    email = human(1)[2]
    before = [a["id"] for a in gateway.sandbox.store.assignees if a["person"]["email"] == email]
    assert before == ["asg-0001", "asg-0201"]
    data = await gateway.data(DELETE, by={"departmentEmail": {"departmentCode": "CREDIT", "email": email}})
    assert data["result"]["deleted"] is True
    target = email.replace("@", "%40")
    assert gateway.calls == [
        f"DISPUTES DELETE /tenants/sandbox-tenant/departments/by-code/CREDIT/assignees/by-email/{target}"
    ]
    assert [a["id"] for a in gateway.sandbox.store.assignees if a["person"]["email"] == email] == ["asg-0201"]


async def test_a_new_default_is_seen_by_the_whole_department(gateway: Gateway) -> None:
    """After `isDefault: true` the department is read anew in the same document."""
    data = await gateway.data(
        """mutation {
          before: updateAssignee(by: { assigneeId: "asg-0016" }, input: { title: "x" }) {
            assignee { department { defaultAssignee { assigneeId } } }
          }
          after: updateAssignee(by: { assigneeId: "asg-0016" }, input: { isDefault: true }) {
            assignee { isDefault department { defaultAssignee { assigneeId } } }
          }
        }"""
    )
    default = "asg-0008"
    assert data["before"]["assignee"]["department"]["defaultAssignee"] == {"assigneeId": default}
    assert data["after"]["assignee"] == {
        "isDefault": True,
        "department": {"defaultAssignee": {"assigneeId": "asg-0016"}},
    }
    assert record(gateway, default)["isDefault"] is False


async def test_an_address_of_no_lines_is_no_change(gateway: Gateway) -> None:
    """`address: {}` names nothing: an assignee without an address has none afterwards."""
    before = record(gateway, "asg-0010")["person"]
    assert before["address"] is None
    await gateway.data(UPDATE % ERRORS, by={"assigneeId": "asg-0010"}, i={"address": {}})
    assert record(gateway, "asg-0010")["person"] == before


async def test_what_a_payload_loaded_is_read_anew_after_the_next_write(gateway: Gateway) -> None:
    """An assignee that one payload led to is, in the next, as it is after the second write."""
    data = await gateway.data(
        """mutation {
          one: updateAssignee(by: { assigneeId: "asg-0016" }, input: {}) {
            assignee { department { defaultAssignee { assigneeId title } } }
          }
          two: updateAssignee(by: { assigneeId: "asg-0008" }, input: { title: "New" }) { errors { message } }
          three: updateAssignee(by: { assigneeId: "asg-0016" }, input: {}) {
            assignee { department { defaultAssignee { assigneeId title } } }
          }
        }"""
    )
    titles = [data[n]["assignee"]["department"]["defaultAssignee"]["title"] for n in ("one", "three")]
    assert titles == ["Team Lead", "New"]
