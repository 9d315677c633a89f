"""Input that nobody can have meant: refused before a call, or sent on as nothing but a key."""

import json
from typing import Any

import pytest

from tests.gateway import Gateway

READS = {
    "reference": "query ($k: String!) { representative(reference: $k) { name } }",
    "id": "query ($k: String!) { assignee(by: { assigneeId: $k }) { email } }",
    "email": "query ($k: String!) { assignee(by: { email: $k }) { email } }",
    "name": "query ($k: String!) { rep(by: { agencyAndName: { agencyId: 1, name: $k } }) { name } }",
    "code": "query ($k: String!) { rep(by: { assignment: { supplierId: 1, code: $k } }) { name } }",
}
ERRORS = "errors { __typename ... on InvalidInput { issues { path message } } }"
KEYED_WRITES = {
    "reference": 'mutation ($k: String!) { r: updateRepresentative(reference: $k, input: { name: "n" }) { %s } }',
    "id": "mutation ($k: String!) { r: deleteAssignee(by: { assigneeId: $k }) { %s } }",
    "email": 'mutation ($k: String!) { r: updateAssignee(by: { email: $k }, input: { title: "t" }) { %s } }',
    "account": """mutation ($k: String!) {
      r: linkRepresentativeAccounts(reference: "A", accountNumbers: [$k]) { errors { code } } }""",
}
INPUTS = {
    "updateRepresentative": (
        'reference: "REP-001"',
        "RepresentativeInput",
        ["name", "email", "phone", "supervisorReference"],
    ),
    "updateAssignee": ('by: { assigneeId: "asg-0006" }', "AssigneeInput", ["firstName", "email", "departmentId"]),
    "updateRep": ("repId: 1001", "RepInput", ["firstName", "email", "username"]),
}
CUSTOM = 'updateRepresentative(reference: "REP-001", input: { customFields: %s }) { errors { message } }'
CONTROL = ["a\0b", "a\nb", "a\r\nX-Injected: 1", "\x1b[31m", "a\x7f", "a\x85", "a\u2028b"]
ABSURD = ["", "x" * 3000, "\u00e9" * 1500]


async def send(gateway: Gateway, query: str, **variables: Any) -> Any:
    """Send variables as JSON has them, lone surrogates among them."""
    gateway.sandbox.ledger.calls.clear()
    body = json.dumps({"query": query, "variables": variables})
    reply = await gateway.post(content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200
    return reply.json()


@pytest.mark.parametrize("key", [*CONTROL, *ABSURD, "\ud800", "a\udfff"], ids=ascii)
@pytest.mark.parametrize("what", READS)
async def test_keys_that_nobody_can_mean(gateway: Gateway, what: str, key: str) -> None:
    """Control characters, absurd lengths and lone surrogates in a key are BAD_INPUT, and no call is made."""
    if key == "" and what in ("name", "code"):
        pytest.skip("RPM may have an empty one")
    body = await send(gateway, READS[what], k=key)
    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_INPUT"]
    assert gateway.calls == []


@pytest.mark.parametrize("key", [*CONTROL, *ABSURD, "\ud800"], ids=ascii)
@pytest.mark.parametrize("what", KEYED_WRITES)
async def test_keys_of_writes_that_nobody_can_mean(gateway: Gateway, what: str, key: str) -> None:
    """Nothing is written by such a key, and nothing is read to find that out."""
    query = KEYED_WRITES[what]
    body = await send(gateway, query % ERRORS if "%s" in query else query, k=key)
    if what == "account":
        assert body["data"]["r"]["errors"] == [{"code": "BAD_INPUT"}]
    else:
        assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_INPUT"]
    assert gateway.calls == []


@pytest.mark.parametrize("text", [*CONTROL, "x" * 1001, "\ud800"], ids=ascii)
@pytest.mark.parametrize("mutation", INPUTS)
async def test_texts_that_nobody_can_mean(gateway: Gateway, mutation: str, text: str) -> None:
    """In a name, an email address or any other line they are InvalidInput at their place, before any call."""
    key, kind, fields = INPUTS[mutation]
    for field in fields:
        query = f"mutation ($i: {kind}!) {{ r: {mutation}({key}, input: $i) {{ {ERRORS} }} }}"
        body = await send(gateway, query, i={field: text})
        (error,) = body["data"]["r"]["errors"]
        assert error["__typename"] == "InvalidInput"
        assert [issue["path"] for issue in error["issues"]] == [["input", field]]
        assert gateway.calls == []


async def test_texts_within_lists_and_objects(gateway: Gateway) -> None:
    """The place of what is wrong is told however deep it is."""
    query = f"mutation ($i: RepInput!) {{ r: updateRep(repId: 1001, input: $i) {{ {ERRORS} }} }}"
    given = {
        "phoneNumbers": [{"kind": "BUSINESS", "number": "1"}, {"kind": "FAX", "number": "1\n2"}],
        "fields": [{"name": "a\0", "value": "two\nlines"}],
    }
    body = await send(gateway, query, i=given)
    (error,) = body["data"]["r"]["errors"]
    assert [issue["path"] for issue in error["issues"]] == [
        ["input", "phoneNumbers", "1", "number"],
        ["input", "fields", "0", "name"],
    ]
    query = f"""mutation ($i: AssigneeInput!) {{
      r: updateAssignee(by: {{ assigneeId: "asg-0006" }}, input: $i) {{ {ERRORS} }} }}"""
    body = await send(gateway, query, i={"address": {"city": "a\tb"}})
    assert body["data"]["r"]["errors"][0]["issues"][0]["path"] == ["input", "address", "city"]
    assert gateway.calls == []


async def test_free_text_may_have_lines(gateway: Gateway) -> None:
    """Where text is free it may have several lines, but nothing that cannot be seen."""
    query = f"""mutation ($i: RepresentativeInput!) {{
      r: updateRepresentative(reference: "REP-001", input: $i) {{ {ERRORS} }} }}"""
    body = await send(gateway, query, i={"extraInfo": "one\r\n\ttwo"})
    assert body["data"]["r"]["errors"] == []
    for bad in ("a\0", "\x1b[0m", "x" * 10_001):
        body = await send(gateway, query, i={"extraInfo": bad})
        assert body["data"]["r"]["errors"][0]["__typename"] == "InvalidInput"
        assert gateway.calls == []


TRAVERSALS = [
    "../../admin",
    "..",
    ".",
    "a/b",
    "a%2Fb",
    "%2e%2e%2f",
    "a?x=1",
    "a#b",
    "a;b",
    "a\\b",
    "//evil.example",
    "a b+c&d=e",
]


@pytest.mark.parametrize("key", TRAVERSALS)
async def test_a_key_stays_one_segment(gateway: Gateway, key: str) -> None:
    """Whatever a reference looks like, it reaches the upstream percent-encoded, and changes no path."""
    await send(gateway, READS["reference"], k=key)
    (call,) = gateway.recorded
    assert call.target.startswith("/representatives/")
    segment = call.target.removeprefix("/representatives/")
    assert set(segment) <= set("%-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    assert segment not in (".", "..")
    await send(gateway, KEYED_WRITES["reference"] % ERRORS, k=key)
    assert [call.target for call in gateway.recorded] == [f"/representatives/{segment}"]


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 10**30, 1.5, "1", True])
async def test_numbers_that_are_no_int(gateway: Gateway, number: Any) -> None:
    """An Int is one of 32 bits, and nothing that looks like one."""
    body = await send(gateway, "query ($n: Int!) { rep(by: { repId: $n }) { name } }", n=number)
    assert body["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "data" not in body
    body = await send(gateway, "{ rep(by: { repId: %s }) { name } }" % json.dumps(number))
    assert body["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert gateway.calls == []


def nested(depth: int) -> Any:
    """Return JSON that is nested so deep."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        nested(21),
        nested(90),
        {"a": ["x"] * 1001},
        {str(number): 1 for number in range(1001)},
        {"a": "x" * 100_001},
        {"x" * 100_001: 1},
        {"a": "\0"},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": 10**101},
    ],
    ids=lambda value: f"{str(value)[:20]!a}",
)
async def test_json_that_is_too_much(gateway: Gateway, value: Any) -> None:
    """`JSON` is bounded in depth, in number and in size, in variables and in the document, before any call."""
    body = await send(gateway, "mutation ($j: JSON) { %s }" % CUSTOM % "$j", j=value)
    assert body["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "data" not in body
    assert gateway.calls == []


async def test_json_in_the_document(gateway: Gateway) -> None:
    """A literal is bounded as a variable is."""
    literal = "1"
    for _ in range(21):
        literal = f"{{a: {literal}}}"
    query = f"mutation {{ {CUSTOM} }}"
    body = await send(gateway, query % literal)
    assert "errors" in body
    assert gateway.calls == []
    body = await send(gateway, query % "{a: [{b: 1}]}")
    assert body["data"]["updateRepresentative"]["errors"] == []


async def test_variables_with_many_mistakes(gateway: Gateway) -> None:
    """Of what is wrong with variables no more is told than anybody reads, and no more time is taken for it."""
    query = "mutation ($i: RepInput!) { updateRep(repId: 1, input: $i) { errors { message } } }"
    body = await send(gateway, query, i={f"nope{number}": 1 for number in range(10_000)})
    assert 1 < len(body["errors"]) <= 51
    assert gateway.calls == []


async def test_variables_that_are_too_many(gateway: Gateway) -> None:
    """Their number is bounded whatever their types are."""
    query = "query ($k: [String!]!) { representatives(references: $k) { name } }"
    reply = await gateway.post(json={"query": query, "variables": {"k": ["x"] * 20_001}})
    assert reply.status_code == 413
    assert reply.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert gateway.calls == []
