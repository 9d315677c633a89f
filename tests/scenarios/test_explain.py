"""Explain: which upstream calls an operation may make, and which it made."""

import json
from pathlib import Path
from typing import Any

import pytest

from peoplegraph.sandbox.faults import parse
from peoplegraph.scopes import Scope
from tests.access.callers import entry
from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.test_cli import command, printed, run

JOINS = """query Joins($r: String!) {
  representative(reference: $r) { name supervisor { name } assignee { email department { code } } }
  rep(by: { repId: 1011 }) { name counterparts { id } }
}"""


async def explained(gateway: Gateway, query: str, explain: Any = True, **variables: Any) -> Any:  # noqa: FBT002
    """Ask with an explanation; return the whole answer."""
    gateway.sandbox.ledger.calls.clear()
    reply = await gateway.post(
        json={"query": query, "variables": variables, "extensions": {"explain": explain}},
    )
    return reply.json()


async def test_the_calls_that_were_made(gateway: Gateway) -> None:
    """Each call is told with its path as the vendor's page has it, its status, its bytes and its time, in order."""
    answer = await explained(gateway, JOINS, r="REP-021")
    explain = answer["extensions"]["explain"]
    assert "errors" not in answer
    assert explain["operation"]["name"] == "Joins"
    assert explain["operation"]["compiled"] is True
    told = sorted(f"{call['system']} {call['method']} {call['path']}" for call in explain["calls"])
    assert told == [
        "COLLECTIONS GET /representatives/{reference}",
        "COLLECTIONS GET /representatives/{reference}",
        "DISPUTES GET /assignees/by-email/{assigneeEmail}",
        "DISPUTES GET /departments",
        "RPM POST /Rep",
    ]
    assert len(gateway.calls) == len(told)
    for call in explain["calls"]:
        assert (call["source"], call["attempt"], call["status"], call["code"]) == ("upstream", 1, 200, None)
        assert call["bytes"] > 100
        assert 0 <= call["startMs"] <= call["startMs"] + call["durationMs"] <= explain["durationMs"]
    assert "REP-021" not in json.dumps(explain)


async def test_the_calls_at_worst(gateway: Gateway) -> None:
    """Each field that may call is told with its calls, how they are saved, and the field that it waits for."""
    at_worst = (await explained(gateway, JOINS, r="REP-021"))["extensions"]["explain"]["atWorst"]
    fields = {field["field"]: field for field in at_worst["fields"]}
    assert at_worst["calls"] == 1 + 1 + 4 + 1 + 1
    assert at_worst["calls"] == sum(call["atWorst"] for field in at_worst["fields"] for call in field["calls"])
    assert list(fields) == [
        "Query.representative",
        "Representative.supervisor",
        "Representative.assignee",
        "Assignee.department",
        "Query.rep",
        "Rep.counterparts",
    ]
    assert fields["Query.representative"]["dependsOn"] is None
    assert fields["Assignee.department"]["dependsOn"] == ["representative", "assignee"]
    single, everybody = fields["Representative.assignee"]["calls"]
    assert (single["path"], single["alternatives"]) == (
        "/assignees/{assigneeId}",
        ["/assignees/by-email/{assigneeEmail}"],
    )
    assert (single["atWorst"], everybody["path"], everybody["atWorst"]) == (3, "/assignees", 1)
    assert "once for the operation" in single["how"]
    assert [call["atWorst"] for call in fields["Rep.counterparts"]["calls"]] == [0, 0]


async def test_how_lists_are_called(gateway: Gateway) -> None:
    """Of lists it is told how many calls there are for how many entries and pages."""
    query = """query ($refs: [String!]!) {
      representatives(references: $refs) { supervisor { name } accounts(first: 200) { nodes { number } } }
    }"""
    at_worst = (await explained(gateway, query, refs=["REP-002", "REP-003"]))["extensions"]["explain"]["atWorst"]
    assert [(call["atWorst"], call["how"]) for field in at_worst["fields"] for call in field["calls"]] == [
        (2, "one for each of `references`; equal ones are one"),
        (2, "one for each Representative; equal ones are one"),
        (6, "pages of up to 100, and one to know whether that is all; equal ones are one"),
    ]


async def test_what_is_kept_is_told(gateway_with: MakeGateway) -> None:
    """A read that is answered from what is kept says so, and how long answers are kept is told beforehand."""
    gateway = await gateway_with(collections={"cache_ttl_s": 60})
    query = '{ representative(reference: "REP-021") { name } }'
    first, second = [(await explained(gateway, query))["extensions"]["explain"] for _ in range(2)]
    assert [call["source"] for call in first["calls"]] == ["upstream"]
    assert [(call["source"], call["status"]) for call in second["calls"]] == [("cache", 200)]
    assert second["calls"][0]["bytes"] == first["calls"][0]["bytes"]
    assert gateway.calls == []
    assert first["atWorst"]["fields"][0]["calls"][0]["keptS"] == 60


async def test_retries_are_told(gateway: Gateway) -> None:
    """Each attempt is a call, with its number, and with the code of its error where it has no status."""
    await gateway.sandbox.switch([parse("rpm:error,status=503,times=1"), parse("collections:reset,times=1")])
    answer = await explained(gateway, JOINS, r="REP-021")
    told = [
        (call["system"], call["attempt"], call["status"], call["code"])
        for call in answer["extensions"]["explain"]["calls"]
    ]
    assert [each for each in told if each[0] == "RPM"] == [("RPM", 1, 503, None), ("RPM", 2, 200, None)]
    assert told.count(("COLLECTIONS", 1, None, "UPSTREAM_UNAVAILABLE")) == 1
    assert told.count(("COLLECTIONS", 2, 200, None)) == 1


async def test_a_mutation_is_explained_without_being_run(gateway: Gateway) -> None:
    """With `only` nothing is called, and what would be is told all the same."""
    query = (
        'mutation { updateRepresentative(reference: "REP-021", input: { name: "X" }) { representative { name } } }'
    )
    answer = await explained(gateway, query, "only")
    assert answer["data"] is None
    assert answer["extensions"]["explain"]["calls"] == []
    assert [f["field"] for f in answer["extensions"]["explain"]["atWorst"]["fields"]] == [
        "Mutation.updateRepresentative",
        "RepresentativePayload.representative",
    ]
    assert gateway.calls == []


@pytest.mark.parametrize("explain", ["yes", 1, 0, {}, []])
async def test_a_wrong_wish_is_refused(gateway: Gateway, explain: Any) -> None:
    """What is neither true, false nor `only` is a 400."""
    answer = await explained(gateway, "{ __typename }", explain)
    assert answer["errors"][0]["message"] == '`extensions.explain` must be true, false or "only"'


async def test_who_may_not_be_told_is_answered_all_the_same(gateway_with: MakeGateway) -> None:
    """Off loopback it takes the scope `explain`; without it there are the data, and why there is no more."""
    keys = {
        name: entry(name, Scope.REPRESENTATIVES_READ, *more)
        for name, more in (("plain", []), ("able", [Scope.EXPLAIN]))
    }
    gateway = await gateway_with(api_keys=[known for _, known in keys.values()], explain=False)
    body = {"query": '{ representative(reference: "REP-021") { reference } }', "extensions": {"explain": True}}
    answers = {
        name: (await gateway.post(json=body, headers={"authorization": f"Bearer {key}"})).json()
        for name, (key, _) in keys.items()
    }
    assert answers["plain"]["data"] == answers["able"]["data"] == {"representative": {"reference": "REP-021"}}
    assert answers["plain"]["extensions"]["explain"] == {
        "code": "FORBIDDEN",
        "message": "This needs the scope `explain`",
    }
    assert len(answers["able"]["extensions"]["explain"]["calls"]) == 1


async def test_fragments_that_double_are_explained_in_bounds(gateway_with: MakeGateway) -> None:
    """A document whose fragments make a million fields of it is explained as far as anybody can read."""
    gateway = await gateway_with(max_aliases=100_000, max_directives=1_000)
    parts = [
        f"fragment F{n} on Representative {{ a: supervisor {{ ...F{n + 1} }} b: supervisor {{ ...F{n + 1} }} }}"
        for n in range(14)
    ]
    query = '{ representative(reference: "A") { ...F0 } } fragment F14 on Representative { name }' + " ".join(parts)
    answer = await explained(gateway, query, "only")
    assert answer["errors"][0]["message"].startswith("The operation may make 32,767 upstream calls")
    assert "data" not in answer
    at_worst = answer["extensions"]["explain"]["atWorst"]
    assert at_worst["calls"] == 2**15 - 1
    assert 500 < len(at_worst["fields"]) <= 1_000
    assert at_worst["truncated"] is True


async def test_the_command_explains_a_file(tmp_path: Path) -> None:
    """Without a system to call it tells what would be called, as a tree or as JSON, and what is wrong with it."""
    query = tmp_path / "q.graphql"
    query.write_text(JOINS, encoding="utf-8")
    code, out, err = await run("explain", str(query))
    assert (code, err) == (0, "")
    assert "query Joins  at worst 8 calls" in out
    assert "COLLECTIONS GET /representatives/{reference}" in out
    code, out, _ = await run("explain", str(query), "--json")
    assert json.loads(out)["atWorst"]["calls"] == 8
    query.write_text("{ nonsense }", encoding="utf-8")
    code, _, err = await run("explain", str(query))
    assert code == 2
    assert "Cannot query field 'nonsense'" in err
    variables = tmp_path / "v.json"
    variables.write_text("[]", encoding="utf-8")
    code, _, err = await run("explain", str(query), "--variables", str(variables))
    assert (code, err) == (2, f"peoplegraph: {variables} must have a JSON object\n")


async def test_the_command_runs_and_explains(tmp_path: Path) -> None:
    """With `--run` it tells which calls were made, and goes on where a system fails."""
    query, variables = tmp_path / "q.graphql", tmp_path / "v.json"
    query.write_text(JOINS, encoding="utf-8")
    variables.write_text('{"r": "REP-021"}', encoding="utf-8")
    async with command("sandbox", "--port", "0") as sandbox:
        lines: list[list[str]] = []
        while not (line := (await printed(sandbox, r"^(.*)$"))[1]).startswith("#"):
            lines.append(line.split("=", 1))
        environment = dict(lines)
        ask = ("explain", str(query), "--variables", str(variables), "--run")
        code, out, err = await run(*ask, **environment)
        assert (code, err) == (0, "")
        assert "5 calls made, 0 saved" in out
        code, out, err = await run(*ask, **{**environment, "PEOPLEGRAPH_RPM_API_KEY": "wrong"})
        assert code == 0
        assert "rep: " in err
    code, _, err = await run(*ask)
    assert code == 2
    assert "no system is configured" in err


async def test_what_would_be_refused_says_so(gateway_with: MakeGateway) -> None:
    """With `only` an operation is checked as if it were to be run: variables, and the calls at worst."""
    gateway = await gateway_with(max_upstream_calls=1)
    answer = await explained(gateway, JOINS, "only", r="REP-021")
    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert answer["extensions"]["explain"]["atWorst"]["calls"] == 8
    answer = await explained(gateway, JOINS, "only")
    assert "Variable '$r'" in answer["errors"][0]["message"]
    assert gateway.calls == []
