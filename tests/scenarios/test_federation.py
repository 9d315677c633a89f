"""The gateway as a subgraph: what a router asks it, through the front door."""

from typing import Any

import pytest

from peoplegraph.access.api_keys import new_key
from peoplegraph.graph.federation import MAX_REPRESENTATIONS
from peoplegraph.sandbox.faults import parse
from peoplegraph.sandbox.seed import human
from peoplegraph.schema import print_subgraph
from peoplegraph.scopes import Scope
from tests.conftest import MakeGateway
from tests.gateway import Gateway, Reply

ENTITIES = """query ($representations: [_Any!]!) {
  _entities(representations: $representations) {
    __typename
    ... on Representative { reference displayName }
    ... on Assignee { assigneeId displayName }
    ... on Rep { repId displayName email }
    ... on Department { departmentId code }
    ... on Account { number }
    ... on Document { number }
  }
}"""

ALL = [
    {"__typename": "Representative", "reference": "REP-021"},
    {"__typename": "Assignee", "assigneeId": "asg-0006"},
    {"__typename": "Rep", "repId": 1011},
    {"__typename": "Department", "departmentId": "dep-06"},
    {"__typename": "Account", "number": "ACCT-0001"},
    {"__typename": "Document", "number": "INV-0001"},
]

BROKEN: list[Any] = [
    {"__typename": "Invoice", "number": "INV-0001"},
    {"__typename": "Node", "id": "x"},
    {"__typename": "Representative"},
    {"__typename": "Representative", "reference": None},
    {"__typename": "Representative", "reference": 21},
    {"__typename": "Representative", "reference": ""},
    {"__typename": "Representative", "reference": "REP-021\n"},
    {"__typename": "Rep", "repId": "1011"},
    {"__typename": "Rep", "repId": True},
    {"__typename": "Rep", "repId": 2**31},
    {"__typename": "Account", "number": ["ACCT-0001"]},
    {"__typename": "Account", "number": "A\0"},
    {"__typename": 6},
    {"__typename": None},
    {"__typename": {}},
    {},
    [],
    "Representative",
    7,
]


@pytest.fixture
async def subgraph(gateway_with: MakeGateway) -> Gateway:
    """Run a gateway that is a subgraph."""
    return await gateway_with(federation=True)


async def entities(gateway: Gateway, representations: list[Any], headers: Any = None) -> Reply:
    """Ask for records as a router does."""
    return await gateway.ask(ENTITIES, headers, representations=representations)


async def test_every_type_by_its_key(subgraph: Gateway) -> None:
    """A record of each type is had by its key, in one call for each system's; a number needs none."""
    reply = await entities(subgraph, ALL)
    assert reply.errors == []
    name, email = " ".join(human(21)[:2]), human(21)[2]
    assert reply.data["_entities"] == [
        {"__typename": "Representative", "reference": "REP-021", "displayName": name},
        {"__typename": "Assignee", "assigneeId": "asg-0006", "displayName": " ".join(human(6)[:2])},
        {"__typename": "Rep", "repId": 1011, "displayName": name, "email": email},
        {"__typename": "Department", "departmentId": "dep-06", "code": "TAX"},
        {"__typename": "Account", "number": "ACCT-0001"},
        {"__typename": "Document", "number": "INV-0001"},
    ]
    assert subgraph.calls == [
        "COLLECTIONS GET /representatives/REP-021",
        "DISPUTES GET /tenants/sandbox-tenant/assignees/asg-0006",
        "DISPUTES GET /tenants/sandbox-tenant/departments",
        "RPM POST /Rep",
    ]


async def test_one_batch_for_each_type(subgraph: Gateway) -> None:
    """Fifty assignees are one list, all departments another, and what is asked for twice is fetched once."""
    reply = await entities(
        subgraph,
        [
            *({"__typename": "Assignee", "assigneeId": f"asg-{n:04}"} for n in range(1, 51)),
            *({"__typename": "Department", "departmentId": f"dep-{n:02}"} for n in range(1, 9)),
            *({"__typename": "Representative", "reference": "REP-001"} for _ in range(10)),
        ],
    )
    assert reply.errors == []
    assert None not in reply.data["_entities"]
    assert subgraph.calls == [
        "COLLECTIONS GET /representatives/REP-001",
        "DISPUTES GET /tenants/sandbox-tenant/assignees",
        "DISPUTES GET /tenants/sandbox-tenant/departments",
    ]


@pytest.mark.parametrize("fragment", ["... on Rep", "... on _Entity { ... on Rep"])
async def test_reps_come_from_the_list_of_users_where_it_has_enough(subgraph: Gateway, fragment: str) -> None:
    """Names of many reps are one call; with their addresses, which that does not have, each is asked for."""
    reps = [{"__typename": "Rep", "repId": 1000 + n} for n in range(1, 21)]
    query = "query ($r: [_Any!]!) { _entities(representations: $r) { FRAGMENT { displayName FIELD }END } }"
    query = query.replace("FRAGMENT", fragment).replace("END", "}" * fragment.count("{"))
    assert (await subgraph.ask(query.replace("FIELD", ""), r=reps)).errors == []
    assert subgraph.calls == ["RPM POST /AgentUsers"]
    reply = await subgraph.ask(query.replace("FIELD", "email"), r=reps)
    assert subgraph.calls == ["RPM POST /Rep"] * 20
    assert reply.data["_entities"][10]["email"] == human(21)[2]


async def test_what_is_broken_spoils_only_itself(subgraph: Gateway) -> None:
    """Beside every kind of nonsense each record is answered, and each nonsense has its error at its place."""
    mixed = [each for broken in BROKEN for each in (broken, *ALL)]
    reply = await entities(subgraph, mixed)
    width = len(ALL) + 1
    places = range(0, len(mixed), width)
    assert reply.codes == {f"_entities.{place}": "BAD_INPUT" for place in places}
    for place, answer in enumerate(reply.data["_entities"]):
        assert (answer is None) == (place in places)
    assert len(subgraph.calls) == 4
    assert all(len(error["message"]) < 200 for error in reply.errors)


async def test_what_is_not_there_is_null(subgraph: Gateway) -> None:
    """A key that no record has is null without an error; a number is answered, for nobody knows all of them."""
    reply = await entities(
        subgraph,
        [
            {"__typename": "Representative", "reference": "NOBODY"},
            {"__typename": "Assignee", "assigneeId": "nobody"},
            {"__typename": "Rep", "repId": 4},
            {"__typename": "Rep", "repId": -4},
            {"__typename": "Department", "departmentId": "none"},
            {"__typename": "Account", "number": "none"},
        ],
    )
    assert reply.errors == []
    assert reply.data["_entities"] == [None] * 5 + [{"__typename": "Account", "number": "none"}]


async def test_other_fields_are_ignored(subgraph: Gateway) -> None:
    """Whatever else a router sends along is neither read nor answered."""
    reply = await entities(
        subgraph, [{"__typename": "Account", "number": "ACCT-0001", "invoices": [{"number": None}], "x": {"y": []}}]
    )
    assert reply.data["_entities"] == [{"__typename": "Account", "number": "ACCT-0001"}]


async def test_a_system_that_is_down(subgraph: Gateway) -> None:
    """Its records are null with its error, and those of the others are answered."""
    await subgraph.sandbox.switch([parse("disputes:error,status=500")])
    reply = await entities(subgraph, ALL)
    assert reply.codes == {"_entities.1": "UPSTREAM_UNAVAILABLE", "_entities.3": "UPSTREAM_UNAVAILABLE"}
    assert [place for place, answer in enumerate(reply.data["_entities"]) if answer is None] == [1, 3]


async def test_scopes(gateway_with: MakeGateway) -> None:
    """Each record needs the scope that its type needs; without it nothing is called, nor told."""
    key, sha256 = new_key()
    gateway = await gateway_with(
        federation=True, api_keys=[{"name": "router", "sha256": sha256, "scopes": [Scope.REPS_READ]}]
    )
    reply = await entities(gateway, ALL, {"authorization": f"Bearer {key}"})
    assert reply.codes == {f"_entities.{place}": "FORBIDDEN" for place in (0, 1, 3, 4, 5)}
    assert reply.errors[0]["extensions"]["scope"] == "representatives:read"
    assert reply.data["_entities"][2]["repId"] == 1011
    assert gateway.calls == ["RPM POST /Rep"]


@pytest.mark.parametrize("compiles", [True, False])
async def test_how_many_there_may_be(gateway_with: MakeGateway, compiles: bool) -> None:
    """A thousand numbers are answered without a call; one more is refused, in the same field or in another."""
    gateway = await gateway_with(federation=True, compile=compiles)
    accounts = [{"__typename": "Account", "number": f"{n}"} for n in range(MAX_REPRESENTATIONS + 1)]
    reply = await entities(gateway, accounts[1:])
    assert [answer["number"] for answer in reply.data["_entities"]] == [f"{n}" for n in range(1, 1001)]
    assert gateway.calls == []
    reply = await entities(gateway, accounts)
    assert reply.data is None
    assert reply.codes == {"_entities": "BAD_INPUT"}
    twice = """query ($r: [_Any!]!, $s: [_Any!]!) {
      a: _entities(representations: $r) { __typename } b: _entities(representations: $s) { __typename }
    }"""
    reply = await gateway.ask(twice, r=accounts[:600], s=accounts[600:])
    assert reply.data is None
    assert reply.codes == {"b": "BAD_INPUT"}
    reply = await gateway.ask(twice, r=accounts[:600], s=accounts[601:])
    assert [len(reply.data["a"]), len(reply.data["b"])] == [600, 400]


async def test_the_bound_on_calls(gateway_with: MakeGateway) -> None:
    """Representations count as many calls as their types may make, and too many are refused before any is."""
    gateway = await gateway_with(federation=True, max_upstream_calls=30)
    representatives = [{"__typename": "Representative", "reference": f"REP-{n:03}"} for n in range(1, 31)]
    accounts = [{"__typename": "Account", "number": f"{n}"} for n in range(500)]
    reply = await entities(gateway, [*representatives[:24], *accounts, {}, 7])
    assert set(reply.codes.values()) == {"BAD_INPUT"}
    assert len(gateway.calls) == 24
    reply = await entities(gateway, representatives[:25])
    assert reply.errors[0]["message"] == "The operation may make 31 upstream calls, and may make at most 30."
    assert gateway.calls == []


async def test_an_explanation(subgraph: Gateway) -> None:
    """A router's query is compiled, and is told what it calls at worst, and called."""
    body = {"query": ENTITIES, "variables": {"representations": ALL}, "extensions": {"explain": True}}
    explained = (await subgraph.post(json=body)).json()["extensions"]["explain"]
    assert explained["operation"]["compiled"] is True
    assert explained["operation"]["declined"] is None
    (field,) = explained["atWorst"]["fields"]
    assert (field["field"], field["path"]) == ("Query._entities", ["_entities"])
    first = field["calls"][0]
    assert (first["path"], first["atWorst"]) == ("/representatives/{reference}", 2)
    assert "for each of `representations`" in first["how"]
    assert explained["atWorst"]["calls"] == 2 + 4 + 1 + 1
    assert len(explained["calls"]) == 4


@pytest.mark.parametrize("fault", ["rpm:error,status=500", "collections:garbage", "disputes:reset"])
async def test_both_executors_say_the_same(gateway_with: MakeGateway, fault: str) -> None:
    """With compilation off data and errors are equal, for records, nonsense, joins and systems that fail."""
    query = """query ($representations: [_Any!]!, $more: Boolean = true) {
      _entities(representations: $representations) {
        kind: __typename
        ...R
        ... on Person { id email @include(if: $more) counterparts { displayName } }
        ... on Department { code defaultAssignee { email } }
        ... on Account { number }
      }
      literal: _entities(representations: [{ __typename: "Rep", repId: 1001 }, { __typename: "Rep", repId: 1.5 }]) {
        ... on Rep { name }
      }
    }
    fragment R on Representative { name supervisor { name } accounts(first: 2) { nodes { number } } }"""
    replies = []
    for compiles in (True, False):
        gateway = await gateway_with(federation=True, compile=compiles)
        await gateway.sandbox.switch([parse(fault)])
        reply = await gateway.ask(query, representations=[*ALL, *BROKEN])
        errors = [{**error, "extensions": {**error["extensions"], "requestId": ""}} for error in reply.errors]
        replies.append((reply.data, sorted(errors, key=lambda error: error["path"])))
    assert replies[0] == replies[1]
    assert replies[0][0]["_entities"][4] == {"kind": "Account", "number": "ACCT-0001"}
    assert len(replies[0][1]) > len(BROKEN)


async def test_the_sdl(subgraph: Gateway) -> None:
    """The schema that a router reads is the one that the command prints, and costs no call."""
    data = await subgraph.data("{ _service { sdl } }")
    assert data["_service"]["sdl"] == print_subgraph()
    assert subgraph.calls == []


async def test_who_may_read_the_sdl(gateway_with: MakeGateway) -> None:
    """It is for who may introspect, and for nobody else."""
    (key, sha256), (other, other_sha256) = new_key(), new_key()
    gateway = await gateway_with(
        federation=True,
        introspection=False,
        api_keys=[
            {"name": "router", "sha256": sha256, "scopes": [Scope.INTROSPECTION]},
            {"name": "other", "sha256": other_sha256, "scopes": [Scope.REPS_READ]},
        ],
    )
    query = "{ s: _service { __typename sdl } }"
    refused = await gateway.ask(query, {"authorization": f"Bearer {other}"})
    assert [error["extensions"]["code"] for error in refused.errors] == ["INTROSPECTION_DISABLED"]
    assert refused.data is None
    told = await gateway.ask(query, {"authorization": f"Bearer {key}"})
    assert told.data["s"]["sdl"]


@pytest.mark.parametrize(
    "query",
    ["{ _service { sdl } }", "{ _entities(representations: []) { __typename } }", "{ ... on _Entity { x } }"],
)
async def test_by_default_there_is_nothing_of_it(gateway: Gateway, query: str) -> None:
    """A gateway that is no subgraph does not know what routers ask."""
    reply = await gateway.ask(query)
    assert {error["extensions"]["code"] for error in reply.errors} == {"GRAPHQL_VALIDATION_FAILED"}


async def test_the_rest_is_as_it_was(subgraph: Gateway) -> None:
    """A subgraph answers whatever the gateway does otherwise."""
    data = await subgraph.data('{ representative(reference: "REP-021") { displayName } }')
    assert data == {"representative": {"displayName": " ".join(human(21)[:2])}}
