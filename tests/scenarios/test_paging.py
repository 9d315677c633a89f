"""Connections: what is in a page, and what it costs upstream."""

import base64

import pytest

from peoplegraph.sandbox.seed import account, document
from tests.gateway import Gateway


def get(ref: str) -> str:
    """Return the call that reads a representative."""
    return f"COLLECTIONS GET /representatives/{ref}"


async def test_linked_accounts_come_with_the_representative(gateway: Gateway) -> None:
    """Fewer than 100 embedded accounts are the whole list: no further call, and everything is known."""
    data = await gateway.data(
        """{
          representative(reference: "REP-008") {
            accounts(first: 3) {
              nodes { number } edges { cursor node { number } } totalCount
              pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
            }
            documents { totalCount pageInfo { hasNextPage startCursor } }
          }
        }"""
    )
    accounts = data["representative"]["accounts"]
    assert [n["number"] for n in accounts["nodes"]] == [account(41), account(42), account(43)]
    assert [e["node"] for e in accounts["edges"]] == accounts["nodes"]
    assert accounts["totalCount"] == 8
    assert accounts["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": accounts["edges"][0]["cursor"],
        "endCursor": accounts["edges"][2]["cursor"],
    }
    assert data["representative"]["documents"] == {
        "totalCount": 3,
        "pageInfo": {
            "hasNextPage": False,
            "startCursor": data["representative"]["documents"]["pageInfo"]["startCursor"],
        },
    }
    assert gateway.calls == [get("REP-008")]


PAGE = """query ($r: String!, $first: Int, $after: String) {
  representative(reference: $r) { list: %s(first: $first, after: $after) { %s } }
}"""


async def test_a_long_list_is_paged_by_what_is_asked_for(gateway: Gateway) -> None:
    """250 accounts are walked in 100, 100 and 50: one GET each, whose envelope tells the total."""
    query = PAGE % ("accounts", "nodes { number } totalCount pageInfo { hasNextPage endCursor }")
    numbers: list[str] = []
    after = None
    for page in (1, 2, 3):
        found = (await gateway.data(query, r="REP-002", after=after))["representative"]["list"]
        assert gateway.calls == [get("REP-002"), get(f"REP-002/accounts?page={page}&limit=100")]
        assert found["totalCount"] == 250
        assert found["pageInfo"]["hasNextPage"] is (page < 3)
        numbers += [n["number"] for n in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
    assert numbers == [account((10 + i) % 600 + 1) for i in range(250)]


async def test_a_window_across_pages_takes_the_fewest_pages(gateway: Gateway) -> None:
    """200 at once are two full pages; 20 across a page's end are one page of another size."""
    query = PAGE % ("accounts", "nodes { number } pageInfo { endCursor }")
    found = (await gateway.data(query, r="REP-002", first=200))["representative"]["list"]
    assert len(found["nodes"]) == 200
    assert len(gateway.calls) == 3
    ninety = (await gateway.data(query, r="REP-002", first=90))["representative"]["list"]
    found = (await gateway.data(query, r="REP-002", first=20, after=ninety["pageInfo"]["endCursor"]))[
        "representative"
    ]["list"]
    assert [n["number"] for n in found["nodes"]] == [account((10 + i) % 600 + 1) for i in range(90, 110)]
    assert len(gateway.calls) == 2


async def test_has_next_page_of_a_full_page_costs_a_call_only_if_asked(gateway: Gateway) -> None:
    """Of 200 documents without a total, the second 100 tell nothing of a third page until it is asked for."""
    query = PAGE % ("documents", "nodes { number } totalCount pageInfo { endCursor }")
    first = (await gateway.data(query, r="REP-004"))["representative"]["list"]
    assert first["totalCount"] is None
    after = first["pageInfo"]["endCursor"]
    second = (await gateway.data(query, r="REP-004", after=after))["representative"]["list"]
    assert [n["number"] for n in second["nodes"]] == [document((12 + i) % 600 + 1) for i in range(100, 200)]
    assert gateway.calls == [get("REP-004"), get("REP-004/documents?page=2&limit=100")]
    query = PAGE % ("documents", "pageInfo { hasNextPage }")
    second = (await gateway.data(query, r="REP-004", after=after))["representative"]["list"]
    assert second["pageInfo"]["hasNextPage"] is False
    assert gateway.calls == [
        get("REP-004"),
        get("REP-004/documents?page=2&limit=100"),
        get("REP-004/documents?page=3&limit=100"),
    ]


async def test_a_short_page_is_the_last(gateway: Gateway) -> None:
    """A page with fewer than were asked for ends the list, and tells its length, without a further call."""
    query = PAGE % ("documents", "nodes { number } totalCount pageInfo { hasNextPage }")
    found = (await gateway.data(query, r="REP-005", first=200))["representative"]["list"]
    assert len(found["nodes"]) == found["totalCount"] == 120
    assert found["pageInfo"] == {"hasNextPage": False}
    assert len(gateway.calls) == 3


async def test_an_empty_page_costs_nothing(gateway: Gateway) -> None:
    """`first: 0` is an empty page, and costs no call of its own even of a long list."""
    query = PAGE % ("accounts", "nodes { number } edges { cursor } pageInfo { hasPreviousPage endCursor }")
    found = (await gateway.data(query, r="REP-002", first=0))["representative"]["list"]
    assert found == {"nodes": [], "edges": [], "pageInfo": {"hasPreviousPage": False, "endCursor": None}}
    assert gateway.calls == [get("REP-002")]
    query = PAGE % ("accounts", "pageInfo { hasNextPage }")
    found = (await gateway.data(query, r="REP-002", first=0))["representative"]["list"]
    assert found == {"pageInfo": {"hasNextPage": True}}


async def test_assignees_are_walked_by_cursor(gateway: Gateway) -> None:
    """The connection over the list call gives every assignee once, in order."""
    query = """query ($after: String) {
      assignees(first: 120, after: $after) { nodes { assigneeId } pageInfo { hasNextPage endCursor } }
    }"""
    seen: list[str] = []
    after = None
    while True:
        page = (await gateway.data(query, after=after))["assignees"]
        seen += [a["assigneeId"] for a in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [f"asg-{n:04}" for n in range(1, 251)]


@pytest.mark.parametrize("first", [-1, 201, 2_000_000])
async def test_first_out_of_range_is_refused(gateway: Gateway, first: int) -> None:
    """`first` beyond 0 to 200 is BAD_INPUT with the figures, and makes no call of its own."""
    reply = await gateway.ask("query ($n: Int) { assignees(first: $n) { totalCount } }", n=first)
    assert reply.data == {"assignees": None}
    assert reply.codes == {"assignees": "BAD_INPUT"}
    assert reply.errors[0]["message"] == f"first: {first} is not between 0 and 200"
    assert gateway.calls == []


async def test_cursors_of_another_list_are_refused(gateway: Gateway) -> None:
    """A cursor of one list is BAD_INPUT in another, be it of another owner, another field or another filter."""
    query = '{ representative(reference: "REP-002") { accounts(first: 1) { pageInfo { endCursor } } } }'
    cursor = (await gateway.data(query))["representative"]["accounts"]["pageInfo"]["endCursor"]
    reply = await gateway.ask(
        """query ($c: String) {
          own: representative(reference: "REP-002") { accounts(first: 1, after: $c) { nodes { number } } }
          other: representative(reference: "REP-003") { accounts(after: $c) { totalCount } }
          field: representative(reference: "REP-002") { documents(after: $c) { totalCount } }
          assignees(after: $c) { totalCount }
        }""",
        c=cursor,
    )
    assert reply.data["own"] == {"accounts": {"nodes": [{"number": account(12)}]}}
    assert reply.codes == {
        "other.accounts": "BAD_INPUT",
        "field.documents": "BAD_INPUT",
        "assignees": "BAD_INPUT",
    }


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "AAAA", base64.urlsafe_b64encode(b"abc:-1").decode(), "é"])
async def test_malformed_cursors_are_refused(gateway: Gateway, cursor: str) -> None:
    """Text that is no cursor is BAD_INPUT."""
    reply = await gateway.ask("query ($c: String) { assignees(after: $c) { totalCount } }", c=cursor)
    assert reply.codes == {"assignees": "BAD_INPUT"}


async def test_an_empty_page_at_the_end_knows_that_it_is(gateway: Gateway) -> None:
    """Behind the last item `first: 0` has no next page, as `first: 1` has none."""
    query = PAGE % ("documents", "pageInfo { hasNextPage endCursor }")
    end = (await gateway.data(query, r="REP-005", first=200))["representative"]["list"]["pageInfo"]["endCursor"]
    for first in (0, 1):
        found = (await gateway.data(query, r="REP-005", first=first, after=end))["representative"]["list"]
        assert found["pageInfo"] == {"hasNextPage": False, "endCursor": None}


async def test_behind_the_end_the_length_is_not_guessed(gateway: Gateway) -> None:
    """An empty page that is not the first tells nothing of how long the list is."""
    query = PAGE % ("documents", "nodes { number } totalCount pageInfo { endCursor }")
    first = (await gateway.data(query, r="REP-004", first=200))["representative"]["list"]
    after = first["pageInfo"]["endCursor"]
    found = (await gateway.data(query, r="REP-004", after=after))["representative"]["list"]
    assert (found["nodes"], found["totalCount"]) == ([], None)
