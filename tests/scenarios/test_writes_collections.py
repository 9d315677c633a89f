"""Writing representatives: which calls each mutation makes, and what it answers."""

import asyncio
from typing import Any

import pytest

from peoplegraph.sandbox.seed import ODD_REFERENCE
from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.scripted import http, scripted

CREATE = """mutation ($r: String!, $i: RepresentativeInput!) {
  result: createRepresentative(reference: $r, input: $i) { %s }
}"""
REPLACE = CREATE.replace("create", "replace")
UPDATE = CREATE.replace("create", "update")
ERRORS = """errors {
  __typename message ... on InvalidInput { issues { path message } } ... on PermissionDenied { permission }
}"""
ALL = f"created representative {{ reference name email extraInfo customFields }} {ERRORS}"


def record(gateway: Gateway, reference: str) -> dict[str, Any]:
    """Return the record as Collections has it now."""
    found = gateway.sandbox.store.representatives.get(reference)
    assert found is not None
    return found


async def test_create_posts_and_fetches_what_the_post_does_not_answer(gateway: Gateway) -> None:
    """A new representative is one POST; its record is fetched, since POST answers without one."""
    data = await gateway.data(
        CREATE % ALL, r="NEW", i={"name": "Jane", "email": None, "extraInfo": "", "customFields": {"a": [1]}}
    )
    assert data["result"] == {
        "created": True,
        "representative": {
            "reference": "NEW",
            "name": "Jane",
            "email": None,
            "extraInfo": "",
            "customFields": {"a": [1]},
        },
        "errors": [],
    }
    assert [str(call) for call in gateway.recorded] == ["POST /representatives/NEW", "GET /representatives/NEW"]
    assert gateway.recorded[0].body == {
        "name": "Jane",
        "email": None,
        "extra_info": "",
        "custom_fields": {"a": [1]},
    }


async def test_what_is_not_asked_for_is_not_fetched(gateway: Gateway) -> None:
    """Without `representative` in the selection a create is its POST alone."""
    await gateway.data(CREATE % "created errors { message }", r="NEW", i={"name": "Jane"})
    assert gateway.calls == ["COLLECTIONS POST /representatives/NEW"]


async def test_create_of_an_existing_reference_is_already_exists(gateway: Gateway) -> None:
    """409 is AlreadyExists as data, and the record stays as it was."""
    before = record(gateway, "REP-001")
    data = await gateway.data(CREATE % ALL, r="REP-001", i={"name": "Other"})
    assert data["result"] == {
        "created": False,
        "representative": None,
        "errors": [
            {
                "__typename": "AlreadyExists",
                "message": "Billtrust Collections: Representative REP-001 already exists",
            }
        ],
    }
    assert record(gateway, "REP-001") == before


async def test_replace_resets_what_is_left_out(gateway: Gateway) -> None:
    """PUT sends the input as it is: the rest is reset by Collections, its custom fields and links are not."""
    before = record(gateway, "REP-008")
    data = await gateway.data(REPLACE % ALL, r="REP-008", i={"name": "New Name", "customFields": {"quota": ""}})
    assert data["result"]["created"] is False
    assert data["result"]["representative"]["name"] == "New Name"
    assert gateway.recorded[0].body == {"name": "New Name", "custom_fields": {"quota": ""}}
    after = record(gateway, "REP-008")
    assert after["email"] is None
    assert after["custom_fields"] == {"region": before["custom_fields"]["region"]}
    assert after["accounts"] == before["accounts"]


async def test_replace_creates_what_is_not_there(gateway: Gateway) -> None:
    """PUT of a new reference is a create, and says so."""
    data = await gateway.data(REPLACE % "created", r="NEW", i={})
    assert data["result"] == {"created": True}
    assert gateway.recorded[0].body == {}


async def test_update_changes_what_is_named_and_nothing_else(gateway: Gateway) -> None:
    """PATCH carries absent, null and empty as three things, and its answer is the record: one call."""
    before = record(gateway, "REP-008")
    data = await gateway.data(
        UPDATE % ALL, r="REP-008", i={"title": None, "fax": "", "supervisorReference": "REP-003"}
    )
    assert data["result"]["errors"] == []
    assert data["result"]["representative"]["name"] == before["name"]
    assert gateway.calls == ["COLLECTIONS PATCH /representatives/REP-008"]
    assert gateway.recorded[0].body == {
        "title": None,
        "fax": "",
        "supervisor_representative_reference": "REP-003",
    }
    changed = {"title": None, "fax": "", "supervisor_representative_reference": "REP-003"}
    assert record(gateway, "REP-008") == before | changed


async def test_update_of_nobody_is_not_found(gateway: Gateway) -> None:
    """404 is NotFound as data."""
    data = await gateway.data(UPDATE % ALL, r="NOPE", i={"name": "X"})
    assert data["result"]["errors"] == [{"__typename": "NotFound", "message": "Billtrust Collections: not found"}]


@pytest.mark.parametrize("mutation", [CREATE, REPLACE, UPDATE])
@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"language": "eng"}, ["input", "language"]),
        ({"language": "e1"}, ["input", "language"]),
        ({"customFields": [1]}, ["input", "customFields"]),
        ({"customFields": "x"}, ["input", "customFields"]),
    ],
)
async def test_what_is_known_to_be_refused_is_not_sent(
    gateway: Gateway, mutation: str, given: dict[str, Any], path: list[str]
) -> None:
    """A language that is neither empty nor two letters, and custom fields that are no object: no call."""
    data = await gateway.data(mutation % ERRORS, r="REP-001", i=given)
    (error,) = data["result"]["errors"]
    assert error["__typename"] == "InvalidInput"
    assert [issue["path"] for issue in error["issues"]] == [path]
    assert gateway.calls == []


@pytest.mark.parametrize("language", ["", None, "en"])
async def test_an_empty_language_is_sent(gateway: Gateway, language: str | None) -> None:
    """Empty, null and two letters are fine."""
    await gateway.data(UPDATE % ERRORS, r="REP-001", i={"language": language})
    assert record(gateway, "REP-001")["language"] == language


async def test_a_422_leads_to_the_fields_of_the_input(gateway: Gateway) -> None:
    """The fields that Collections refuses are named as the GraphQL input names them."""
    data = await gateway.data(UPDATE % ERRORS, r="REP-001", i={"email": "nonsense", "supervisorReference": "NOPE"})
    assert data["result"]["errors"] == [
        {
            "__typename": "InvalidInput",
            "message": "Billtrust Collections: Validation failure",
            "issues": [
                {"path": ["input", "email"], "message": "email is not a valid address"},
                {"path": ["input", "supervisorReference"], "message": "supervisor is not a representative"},
            ],
        }
    ]


async def test_a_refused_key_is_permission_denied(gateway_with: MakeGateway) -> None:
    """403 on a write is PermissionDenied as data; on a read it is FORBIDDEN."""
    gateway = await gateway_with(collections={"api_key": "wrong"})
    data = await gateway.data(UPDATE % ERRORS, r="REP-001", i={"name": "X"})
    assert data["result"]["errors"][0]["__typename"] == "PermissionDenied"
    assert data["result"]["errors"][0]["permission"] is None
    reply = await gateway.ask('{ representative(reference: "REP-001") { name } }')
    assert reply.data == {"representative": None}
    assert reply.errors[0]["extensions"] == {
        "code": "FORBIDDEN",
        "system": "COLLECTIONS",
        "retryable": False,
        "requestId": reply.response.headers["x-request-id"],
    }


async def test_a_write_forgets_what_was_loaded(gateway: Gateway) -> None:
    """Two updates in one document: each payload has the record as it is after its own write."""
    data = await gateway.data(
        """mutation {
          one: replaceRepresentative(reference: "REP-200", input: { name: "One" }) { representative { name } }
          two: replaceRepresentative(reference: "REP-200", input: { name: "Two" }) { representative { name } }
        }"""
    )
    assert data == {"one": {"representative": {"name": "One"}}, "two": {"representative": {"name": "Two"}}}


async def test_an_odd_reference_is_written_to(gateway: Gateway) -> None:
    """A reference with `/`, `?`, `#` and `%` is updated and linked as itself."""
    await gateway.data(UPDATE % ERRORS, r=ODD_REFERENCE, i={"name": "Renamed"})
    assert record(gateway, ODD_REFERENCE)["name"] == "Renamed"


LINK = """mutation ($r: String!, $n: [String!]!) {
  result: linkRepresentativeAccounts(reference: $r, accountNumbers: $n) { %s }
}"""
LINK_ALL = "linked errors { number code message }"


async def test_links_have_each_their_own_outcome(gateway: Gateway) -> None:
    """Of several numbers those that can be are linked, once each; the others say why."""
    data = await gateway.data(
        LINK % f"{LINK_ALL} representative {{ accounts {{ nodes {{ number }} }} }}",
        r="REP-009",
        n=["ACCT-0007", "NOPE", "ACCT-0008", "ACCT-0007", "", "A/B"],
    )
    result = data["result"]
    assert result["linked"] == ["ACCT-0007", "ACCT-0008"]
    assert [(e["number"], e["code"]) for e in result["errors"]] == [
        ("NOPE", "NOT_FOUND"),
        ("", "BAD_INPUT"),
        ("A/B", "NOT_FOUND"),
    ]
    assert result["errors"][0]["message"] == "Billtrust Collections: not found"
    nodes = result["representative"]["accounts"]["nodes"]  # in the order in which the calls happened to arrive
    assert sorted(node["number"] for node in nodes) == ["ACCT-0007", "ACCT-0008"]
    assert gateway.calls == [
        "COLLECTIONS GET /representatives/REP-009",
        *(
            f"COLLECTIONS PUT /representatives/REP-009/accounts/{n}"
            for n in ("A%2FB", "ACCT-0007", "ACCT-0008", "NOPE")
        ),
    ]


async def test_linking_again_does_no_harm(gateway: Gateway) -> None:
    """The same link twice is linked twice, and there once."""
    for _ in range(2):
        data = await gateway.data(LINK % LINK_ALL, r="REP-009", n=["ACCT-0007"])
        assert data["result"] == {"linked": ["ACCT-0007"], "errors": []}
    assert record(gateway, "REP-009")["accounts"] == ["ACCT-0007"]


async def test_documents_are_linked_alike(gateway: Gateway) -> None:
    """Documents have a mutation of their own."""
    data = await gateway.data(
        """mutation { linkRepresentativeDocuments(reference: "REP-005", documentNumbers: ["INV-0001", "X"]) {
          linked errors { number code } } }"""
    )
    assert data["linkRepresentativeDocuments"] == {
        "linked": ["INV-0001"],
        "errors": [{"number": "X", "code": "NOT_FOUND"}],
    }
    assert "INV-0001" in record(gateway, "REP-005")["documents"]


async def test_links_to_an_upstream_that_fails_half_way(gateway_with: MakeGateway) -> None:
    """Each number has the outcome of its own call, whatever that was."""
    answers = {
        "A1": http(200),
        "A2": http(503),
        "A3": http(500),
        "A4": b"",
        "A5": http(404),
        "A6": http(422, '{"message": "no"}'),
        "A7": http(403),
        "A8": http(429),
        "A9": http(401),
    }
    async with scripted(lambda request: answers[request[-2:]]) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url})
        data = await gateway.data(LINK % LINK_ALL, r="R", n=list(answers))
    assert data["result"]["linked"] == ["A1"]
    assert {e["number"]: e["code"] for e in data["result"]["errors"]} == {
        "A2": "UPSTREAM_UNAVAILABLE",
        "A3": "UPSTREAM_OUTCOME_UNKNOWN",
        "A4": "UPSTREAM_OUTCOME_UNKNOWN",
        "A5": "NOT_FOUND",
        "A6": "BAD_INPUT",
        "A7": "FORBIDDEN",
        "A8": "UPSTREAM_RATE_LIMITED",
        "A9": "UPSTREAM_UNAUTHORIZED",
    }
    assert set(upstream.requests) == {f"PUT /representatives/R/accounts/A{n}" for n in range(1, 10)}
    assert len(upstream.requests) == 9 + 3  # links are safe to retry, within the budget


async def test_links_go_side_by_side_within_a_bound(gateway_with: MakeGateway) -> None:
    """Of 40 links at most ten are under way at once, and more than one is."""
    under_way: list[int] = [0, 0]

    async def answer(_: str) -> bytes:
        under_way[0] += 1
        under_way[1] = max(under_way)
        await asyncio.sleep(0.01)
        under_way[0] -= 1
        return http(200)

    async with scripted(answer) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url})
        data = await gateway.data(LINK % LINK_ALL, r="R", n=[f"A{n}" for n in range(40)])
    assert len(data["result"]["linked"]) == 40
    assert 1 < under_way[1] <= 10


async def test_too_many_links_are_refused(gateway: Gateway) -> None:
    """More than 200 numbers at once are BAD_INPUT, without a call."""
    reply = await gateway.ask(LINK % LINK_ALL, r="REP-009", n=[f"A{n}" for n in range(201)])
    assert reply.codes == {"result": "BAD_INPUT"}
    assert gateway.calls == []


async def test_text_that_json_cannot_carry_is_refused(gateway: Gateway) -> None:
    """A lone surrogate in a reference is BAD_INPUT and in the input InvalidInput, without a call, and no crash."""
    for body in ('"r": "\\ud800", "i": {}', '"r": "X", "i": {"name": "\\ud800"}'):
        gateway.sandbox.ledger.calls.clear()
        response = await gateway.post(
            content='{"query": "%s", "variables": {%s}}' % ((UPDATE % ERRORS).replace("\n", " "), body),
            headers={"content-type": "application/json"},
        )
        answer = response.json()
        if "errors" in answer:
            assert answer["errors"][0]["extensions"]["code"] == "BAD_INPUT"
        else:
            (error,) = answer["data"]["result"]["errors"]
            assert error["issues"] == [{"path": ["input", "name"], "message": "name must be valid Unicode text"}]
        assert gateway.calls == []


@pytest.mark.parametrize("body", ['{"status": "created"}', '{"reference": "N"}', "[]", "garbage"])
async def test_what_a_post_answers_is_not_taken_for_the_record(gateway_with: MakeGateway, body: str) -> None:
    """No page prints what POST and PUT answer with: the record is fetched, whatever it is."""

    def script(request: str) -> bytes:
        return http(200, '{"name": "Stored"}') if request.startswith("GET") else http(201, body)

    async with scripted(script) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url})
        for mutation in (CREATE, REPLACE):
            data = await gateway.data(mutation % "created representative { name }", r="N", i={"name": "Sent"})
            assert data["result"] == {"created": True, "representative": {"name": "Stored"}}
    assert [r.split()[0] for r in upstream.requests] == ["POST", "GET", "PUT", "GET"]


async def test_links_are_seen_by_what_is_read_after_them(gateway: Gateway) -> None:
    """Two links in one document: each payload has the links as they are after its own."""
    link = """linkRepresentativeAccounts(reference: "REP-009", accountNumbers: ["%s"]) {
      representative { accounts { nodes { number } } } }"""
    data = await gateway.data(f"mutation {{ one: {link % 'ACCT-0001'} two: {link % 'ACCT-0002'} }}")
    seen = [[n["number"] for n in v["representative"]["accounts"]["nodes"]] for v in data.values()]
    assert seen == [["ACCT-0001"], ["ACCT-0001", "ACCT-0002"]]


async def test_pages_are_read_anew_after_a_link(gateway: Gateway) -> None:
    """A page of a long list that was read before a link is not what is read after it."""
    link = """linkRepresentativeDocuments(reference: "REP-005", documentNumbers: ["%s"]) {
      representative { documents(first: 200) { totalCount } } }"""
    data = await gateway.data(f"mutation {{ one: {link % 'INV-0500'} two: {link % 'INV-0501'} }}")
    assert [v["representative"]["documents"]["totalCount"] for v in data.values()] == [121, 122]
