"""Keys and ids: those that are odd, unknown, malformed or too many."""

import json

import pytest

from peoplegraph.graph.node import encode_id
from peoplegraph.sandbox.seed import ODD_REFERENCE, human
from tests.gateway import Gateway


def get(ref: str) -> str:
    """Return the call that reads a representative."""
    return f"COLLECTIONS GET /representatives/{ref}"


async def test_unknown_keys_are_null_in_their_place(gateway: Gateway) -> None:
    """Lists come in the order asked for, doubled keys doubled, unknown ones null, without an error."""
    data = await gateway.data(
        """{
          representatives(references: ["NOPE", "REP-002", "REP-001", "REP-002"]) { reference }
          reps(repIds: [-1, 1003, 4, 1001]) { email }
          representative(reference: "NOPE") { name }
          rep(by: { assignment: { supplierId: 99, code: "C002" } }) { name }
          unknown: rep(by: { agencyAndName: { agencyId: 99, name: "X" } }) { name }
          department(departmentId: "nope") { code }
          assignee(by: { email: "nobody@northwind.example" }) { email }
        }"""
    )
    assert data == {
        "representatives": [
            None,
            {"reference": "REP-002"},
            {"reference": "REP-001"},
            {"reference": "REP-002"},
        ],
        "reps": [None, {"email": human(5)[2]}, None, {"email": human(1)[2]}],
        "representative": None,
        "rep": None,
        "unknown": None,
        "department": None,
        "assignee": None,
    }


async def test_every_character_of_a_key_arrives(gateway: Gateway) -> None:
    """A reference with slash, question mark, hash, percent, space and accent is one path segment and one id."""
    query = "query ($r: String!) { representative(reference: $r) { id reference displayName } }"
    found = (await gateway.data(query, r=ODD_REFERENCE))["representative"]
    assert found["displayName"] == "Odd Reference"
    assert gateway.calls == [get("A%2FB%3Fc%23d%252F%20%C3%A9")]
    again = await gateway.data(
        "query ($id: ID!) { node(id: $id) { ... on Representative { reference } } }", id=found["id"]
    )
    assert again["node"] == {"reference": ODD_REFERENCE}


@pytest.mark.parametrize("key", ["..", ".", "a/../b", "%2e%2e", "x?DepartmentId=1", "\u0000"])
async def test_no_key_leaves_its_place_in_the_path(gateway: Gateway, key: str) -> None:
    """Keys that look like paths, queries or other endpoints reach the upstream as one encoded segment."""
    reply = await gateway.ask(
        """query ($k: String!) {
          representative(reference: $k) { name }
          assignee(by: { assigneeId: $k }) { email }
          byEmail: assignee(by: { email: $k }) { email }
        }""",
        k=key,
    )
    assert reply.data == {"representative": None, "assignee": None, "byEmail": None}
    for call in gateway.recorded:
        depth = {"COLLECTIONS": 2, "DISPUTES": 4 + ("by-email" in call.target)}[call.system]
        assert call.target.count("/") == depth
        assert "?" not in call.target


@pytest.mark.parametrize(
    "global_id",
    ["", "x", "REP-001", "UmVwOg", "Tm90aGluZzox", "UmVwOjEwMDE=", "UmVwOjEwMDE\n", "é", "a" * 5000],
)
async def test_malformed_ids_are_refused(gateway: Gateway, global_id: str) -> None:
    """Text that is no global id is BAD_INPUT at its place, and its siblings are answered."""
    good = (await gateway.data("{ reps(repIds: [1001]) { id } }"))["reps"][0]["id"]
    reply = await gateway.ask(
        "query ($ids: [ID!]!, $id: ID!) { node(id: $id) { id } nodes(ids: $ids) { id } }",
        ids=[good, global_id],
        id=global_id,
    )
    assert reply.data == {"node": None, "nodes": [{"id": good}, None]}
    assert reply.codes == {"node": "BAD_INPUT", "nodes.1": "BAD_INPUT"}


@pytest.mark.parametrize(
    ("field", "variables", "kind"),
    [
        ("representatives(references: $k) { name }", [f"R{n}" for n in range(101)], "[String!]!"),
        ("reps(repIds: $k) { name }", list(range(1, 102)), "[Int!]!"),
        ("nodes(ids: $k) { id }", [f"n{n}" for n in range(101)], "[ID!]!"),
    ],
)
async def test_more_than_a_hundred_keys_are_refused(
    gateway: Gateway, field: str, variables: list[object], kind: str
) -> None:
    """101 keys are BAD_INPUT that says so, and make no call."""
    reply = await gateway.ask(f"query ($k: {kind}) {{ {field} }}", k=variables)
    assert list(reply.codes.values()) == ["BAD_INPUT"]
    assert "101 keys, and at most 100" in reply.errors[0]["message"]
    assert gateway.calls == []


async def test_an_empty_key_is_refused(gateway: Gateway) -> None:
    """The empty text is no key: it would be another path, and is BAD_INPUT without a call."""
    reply = await gateway.ask(
        """{
          representative(reference: "") { name }
          representatives(references: ["REP-001", ""]) { reference }
          assignee(by: { assigneeId: "" }) { email }
        }"""
    )
    assert reply.data == {
        "representative": None,
        "representatives": [{"reference": "REP-001"}, None],
        "assignee": None,
    }
    assert reply.codes == {
        "representative": "BAD_INPUT",
        "representatives.1": "BAD_INPUT",
        "assignee": "BAD_INPUT",
    }
    assert gateway.calls == [get("REP-001")]


@pytest.mark.parametrize("key", ["current-user", "by-email"])
async def test_no_id_is_another_endpoint(gateway: Gateway, key: str) -> None:
    """An id that is the name of an endpoint is nobody's, to reads and to writes, and makes no call."""
    reply = await gateway.ask(
        """mutation ($k: String!) {
          replaceAssignee(by: { assigneeId: $k }, input: { email: "a@b.example" }) { errors { __typename } }
          updateAssignee(by: { assigneeId: $k }, input: {}) { errors { __typename } }
          deleteAssignee(by: { assigneeId: $k }) { errors { __typename } }
        }""",
        k=key,
    )
    assert [v["errors"] for v in reply.data.values()] == [[{"__typename": "NotFound"}]] * 3
    assert gateway.calls == []
    reply = await gateway.ask("query ($k: String!) { assignee(by: { assigneeId: $k }) { email } }", k=key)
    assert (reply.data, reply.errors) == ({"assignee": None}, [])
    assert gateway.calls == []


async def test_keys_that_cannot_be_sent_are_refused(gateway: Gateway) -> None:
    """A key that is too long, or is no Unicode, is BAD_INPUT wherever it stands, without a call."""
    queries = [
        "query ($k: String!) { result: representative(reference: $k) { name } }",
        "query ($k: String!) { result: assignee(by: { email: $k }) { email } }",
        "query ($k: String!) { result: assignees(departmentId: $k) { totalCount } }",
    ]
    for query in queries:
        for key in ("x" * 2001, "\U0001f600" * 200, "x\ud800"):
            gateway.sandbox.ledger.calls.clear()
            body = json.dumps({"query": query, "variables": {"k": key}})
            reply = (await gateway.post(content=body, headers={"content-type": "application/json"})).json()
            assert reply["data"] == {"result": None}
            assert reply["errors"][0]["extensions"]["code"] == "BAD_INPUT"
            assert gateway.calls == []


@pytest.mark.parametrize("key", ["abc", "-1", "01001", "0", "2147483648", "1" * 5000, "\u0661"])
async def test_ids_of_reps_have_one_spelling(gateway: Gateway, key: str) -> None:
    """The id of a rep has a number in it as RPM spells it, and nothing else."""
    reply = await gateway.ask("query ($id: ID!) { node(id: $id) { id } }", id=encode_id("Rep", key))
    assert reply.codes == {"node": "BAD_INPUT"}
    assert gateway.calls == []


async def test_the_id_of_the_last_rep_leads_back(gateway: Gateway) -> None:
    """The largest number that GraphQL has is a rep's id like any other."""
    record = gateway.sandbox.store.reps.get("1001")
    assert record is not None
    gateway.sandbox.store.reps.put("2147483647", record | {"RepID": 2147483647})
    data = await gateway.data("{ rep(by: { repId: 2147483647 }) { id } }")
    assert (await gateway.data("query ($id: ID!) { node(id: $id) { id } }", id=data["rep"]["id"]))["node"] == data[
        "rep"
    ]
