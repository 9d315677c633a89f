"""Trusted documents and automatic persisted queries: what is executed by its name, and by whom."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from graphql import parse

from peoplegraph.access.api_keys import new_key
from peoplegraph.access.documents import AutomaticQueries, parse_manifest
from peoplegraph.scopes import DATA, Scope
from peoplegraph.settings import SettingsError
from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.test_cli import run

QUERY = 'query Rep1 { representative(reference: "REP-001") { reference } }'
OTHER = 'query Other { representative(reference: "REP-002") { reference } }'
ANSWER = {"data": {"representative": {"reference": "REP-001"}}}


def digest(text: str) -> str:
    """Return a document's hash, as clients make it."""
    return sha256(text.encode()).hexdigest()


APOLLO = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [{"id": digest(QUERY), "name": "Rep1", "type": "query", "body": QUERY}],
}
RELAY = {"one": QUERY}


def by_hash(text: str, *, query: bool = False) -> dict[str, Any]:
    """Return a request as Apollo's clients make it."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": digest(text)}}
    return {"extensions": extensions} | ({"query": text} if query else {})


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Return a manifest of Apollo's."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(APOLLO))
    return path


async def answer(gateway: Gateway, **request: Any) -> Any:
    """Post a request; return the answer, with the code in place of an error."""
    headers = request.pop("headers", {})
    gateway.sandbox.ledger.calls.clear()
    body = (await gateway.post(json=request, headers=headers)).json()
    if "errors" in body:
        assert gateway.calls == []
        return body["errors"][0]["extensions"]["code"]
    return body


@pytest.mark.parametrize("content", [APOLLO, RELAY, {digest(QUERY): QUERY}])
async def test_enforced(gateway_with: MakeGateway, manifest: Path, content: Any) -> None:
    """Only what is in the manifest is executed, by its id in whatever way a client says it; no free text is."""
    manifest.write_text(json.dumps(content))
    gateway = await gateway_with(trusted_documents="enforce", trusted_manifest=[str(manifest)])
    (name,) = parse_manifest(content)
    assert await answer(gateway, documentId=name) == ANSWER
    assert await answer(gateway, id=name) == ANSWER
    assert await answer(gateway, doc_id=name, variables={}) == ANSWER
    assert await answer(gateway, extensions={"persistedQuery": {"version": 1, "sha256Hash": name}}) == ANSWER
    got = await gateway.get(params={"documentId": name})
    assert got.json() == ANSWER
    for text in (QUERY, OTHER, "{ __typename }", "{ __schema { types { name } } }", "{"):
        assert await answer(gateway, query=text) == "PERSISTED_QUERY_ID_REQUIRED"
    assert await answer(gateway, documentId="nope") == "PERSISTED_QUERY_NOT_IN_LIST"
    assert await answer(gateway, documentId="nope", query=QUERY) == "PERSISTED_QUERY_NOT_IN_LIST"
    assert await answer(gateway, **by_hash(OTHER, query=True)) == "PERSISTED_QUERY_NOT_IN_LIST"
    smuggled = await answer(gateway, documentId=name, query=OTHER)
    assert smuggled == ANSWER  # what is trusted is executed, whatever text comes with it


async def test_who_may_send_what_is_not_trusted(gateway_with: MakeGateway, manifest: Path) -> None:
    """With the scope `adhoc` free text is executed; without it, it is not."""
    pairs = {scopes: new_key() for scopes in (DATA, (*DATA, Scope.ADHOC))}
    gateway = await gateway_with(
        trusted_documents="enforce",
        trusted_manifest=[str(manifest)],
        api_keys=[{"name": "x", "sha256": sha, "scopes": list(scopes)} for scopes, (_, sha) in pairs.items()],
    )
    for scopes, (key, _) in pairs.items():
        reply = await answer(gateway, query=QUERY, headers={"authorization": f"Bearer {key}"})
        assert reply == (ANSWER if Scope.ADHOC in scopes else "PERSISTED_QUERY_ID_REQUIRED")


async def test_logged(gateway_with: MakeGateway, manifest: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With `log` everything is executed, and what is not trusted is told by its hash, once."""
    gateway = await gateway_with(trusted_documents="log", trusted_manifest=[str(manifest)])
    assert await answer(gateway, query=QUERY) == ANSWER
    assert await answer(gateway, documentId=digest(QUERY)) == ANSWER
    assert "not trusted" not in caplog.text
    for _ in range(2):
        assert "data" in await answer(gateway, query=OTHER)
    assert caplog.text.count("not trusted") == 1
    assert digest(OTHER) in caplog.text
    assert "REP-002" not in "".join(
        record.getMessage() for record in caplog.records if record.levelname == "WARNING"
    )


async def test_a_manifest_is_read_anew(gateway_with: MakeGateway, manifest: Path) -> None:
    """What is put in it is executed without a restart; what is taken out is not; a broken one changes nothing."""
    gateway = await gateway_with(trusted_documents="enforce", trusted_manifest=[str(manifest)])
    manifest.write_text(json.dumps({"other": OTHER}))
    async with asyncio.timeout(5):
        while await answer(gateway, documentId="other") == "PERSISTED_QUERY_NOT_IN_LIST":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await answer(gateway, documentId=digest(QUERY)) == "PERSISTED_QUERY_NOT_IN_LIST"
    manifest.write_text("{")
    await asyncio.sleep(1.5)
    assert "data" in await answer(gateway, documentId="other")


async def test_a_document_that_the_schema_has_outgrown(
    gateway_with: MakeGateway, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of at the start, and the others are executed."""
    manifest.write_text(json.dumps({"old": "{ noSuchField }", "one": QUERY}))
    gateway = await gateway_with(trusted_documents="enforce", trusted_manifest=[str(manifest)])
    assert "trusted document old cannot be executed: Cannot query field 'noSuchField'" in caplog.text
    assert await answer(gateway, documentId="old") == "GRAPHQL_VALIDATION_FAILED"
    assert await answer(gateway, documentId="one") == ANSWER


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "5",
        '{"a": 5}',
        '{"": "{ x }"}',
        '{"a": ""}',
        '{"operations": []}',
        '{"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}',
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [5]}',
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "x"}]}',
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": [1], "body": "x"}]}',
        "\xff",
        "[" * 100_000,
    ],
)
async def test_what_is_no_manifest(gateway_with: MakeGateway, manifest: Path, content: str) -> None:
    """The start says so, by the variable and the file; so it does where there is no file, or no setting of one."""
    manifest.write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"^PEOPLEGRAPH_TRUSTED_MANIFEST: .*manifest\.json"):
        await gateway_with(trusted_documents="enforce", trusted_manifest=[str(manifest)])
    with pytest.raises(SettingsError, match="No such file"):
        await gateway_with(trusted_documents="log", trusted_manifest=[str(manifest) + "x"])
    with pytest.raises(SettingsError, match=r"^PEOPLEGRAPH_TRUSTED_MANIFEST: is needed"):
        await gateway_with(trusted_documents="log")


async def test_automatic_persisted_queries(gateway_with: MakeGateway) -> None:
    """Apollo's protocol: unknown by its hash, sent once with its text, known from then on, over POST and GET."""
    gateway = await gateway_with(persisted_queries=10)
    reply = await gateway.post(json=by_hash(QUERY))
    assert reply.status_code == 200
    assert reply.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert await answer(gateway, **by_hash(QUERY)) == "PERSISTED_QUERY_NOT_FOUND"
    assert await answer(gateway, **by_hash(QUERY, query=True)) == ANSWER
    assert await answer(gateway, **by_hash(QUERY)) == ANSWER
    got = await gateway.get(params={"extensions": json.dumps(by_hash(QUERY)["extensions"])})
    assert got.json() == ANSWER


async def test_automatic_persisted_queries_are_off(gateway: Gateway) -> None:
    """By default a client is told so in the words that make it send texts; a text that comes with a hash is run."""
    reply = await gateway.post(json=by_hash(QUERY))
    assert reply.json()["errors"][0]["message"] == "PersistedQueryNotSupported"
    assert await answer(gateway, **by_hash(QUERY, query=True)) == ANSWER
    assert await answer(gateway, **by_hash(QUERY)) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert await answer(gateway, documentId="x") == "PERSISTED_QUERY_NOT_IN_LIST"


async def test_nobody_poisons_what_is_persisted(gateway_with: MakeGateway) -> None:
    """A text under another's hash, one that is not valid, and one that may not be sent are not kept."""
    gateway = await gateway_with(persisted_queries=10)
    assert await answer(gateway, **(by_hash(QUERY) | {"query": OTHER})) == "BAD_INPUT"
    assert await answer(gateway, **by_hash(QUERY)) == "PERSISTED_QUERY_NOT_FOUND"
    assert await answer(gateway, **by_hash("{ nope }", query=True)) == "GRAPHQL_VALIDATION_FAILED"
    assert await answer(gateway, **by_hash("{ nope }")) == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_trusted_id_persists_nothing(gateway_with: MakeGateway, manifest: Path) -> None:
    """A text that comes with the id of a trusted document is neither executed nor kept under that hash."""
    gateway = await gateway_with(persisted_queries=10, trusted_documents="log", trusted_manifest=[str(manifest)])
    poisoned = by_hash(QUERY) | {"query": OTHER}
    assert await answer(gateway, **poisoned) == ANSWER
    upper = {"persistedQuery": {"version": 1, "sha256Hash": digest(QUERY).upper()}}
    assert await answer(gateway, extensions=upper) == "PERSISTED_QUERY_NOT_FOUND"
    assert await answer(gateway, query=QUERY, extensions=upper) == ANSWER
    assert await answer(gateway, extensions=upper) == ANSWER


async def test_what_is_persisted_is_never_trusted(gateway_with: MakeGateway, manifest: Path) -> None:
    """Where trust is enforced, nobody without `adhoc` can persist a query, nor use one that somebody else did."""
    key, sha = new_key()
    gateway = await gateway_with(
        persisted_queries=10,
        trusted_documents="enforce",
        trusted_manifest=[str(manifest)],
        open=True,
        api_keys=[{"name": "x", "sha256": sha, "scopes": [*DATA, Scope.ADHOC]}],
    )
    assert await answer(gateway, **by_hash(OTHER, query=True)) == "PERSISTED_QUERY_NOT_IN_LIST"
    may = {"authorization": f"Bearer {key}"}
    assert "data" in await answer(gateway, **by_hash(OTHER, query=True), headers=may)
    assert "data" in await answer(gateway, **by_hash(OTHER), headers=may)
    assert await answer(gateway, **by_hash(OTHER)) == "PERSISTED_QUERY_NOT_IN_LIST"
    assert await answer(gateway, **by_hash(QUERY)) == ANSWER


@pytest.mark.parametrize(
    "extensions",
    [
        {"persistedQuery": 5},
        {"persistedQuery": {}},
        {"persistedQuery": {"version": 2, "sha256Hash": "x"}},
        {"persistedQuery": {"version": 1, "sha256Hash": 5}},
        {"persistedQuery": {"version": 1, "sha256Hash": ""}},
    ],
)
async def test_what_is_no_hash(gateway_with: MakeGateway, extensions: Any) -> None:
    """A malformed extension is a bad request."""
    gateway = await gateway_with(persisted_queries=10)
    assert await answer(gateway, query=QUERY, extensions=extensions) == "BAD_REQUEST"
    assert await answer(gateway, documentId=5) == "BAD_REQUEST"
    assert await answer(gateway, documentId="x", id="y") == "BAD_REQUEST"


def test_what_is_persisted_is_bounded() -> None:
    """The query that was used longest ago makes room, by number and by size."""
    kept = AutomaticQueries(2)
    for name in "abc":
        kept.put(name)
        kept.get(digest("a"))
    assert [kept.get(digest(name)) for name in "abc"] == ["a", None, "c"]
    kept = AutomaticQueries(1000)
    for number in range(30):
        kept.put(f"{number:_>1000000}")
    assert repr(kept) == "<AutomaticQueries 20, 20,000,000 characters>"


# peoplegraph trust


async def test_trust_makes_a_manifest(gateway_with: MakeGateway, tmp_path: Path) -> None:
    """Operations and fragments from several files, each operation with what it spreads, in Apollo's format."""
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "a.graphql").write_text(
        'query A { representative(reference: "REP-001") { ...R } }\nfragment Unused on Rep { name }'
    )
    (folder / "b.gql").write_text("query B { departments { code } }\nfragment N on Person { displayName }")
    single = tmp_path / "fragments.txt"
    single.write_text("fragment R on Representative { reference ...N }")
    code, out, err = await run("trust", str(folder), str(single))
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert [each["name"] for each in made["operations"]] == ["A", "B"]
    for each in made["operations"]:
        assert each["id"] == digest(each["body"])
        assert each["type"] == "query"
        names = [definition.name.value for definition in parse(each["body"]).definitions]  # type: ignore[attr-defined]
        assert names == {"A": ["A", "N", "R"], "B": ["B"]}[each["name"]]
    path = tmp_path / "made.json"
    path.write_text(out)
    gateway = await gateway_with(trusted_documents="enforce", trusted_manifest=[str(path)])
    assert "data" in await answer(gateway, documentId=made["operations"][0]["id"])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("query A { nope }", "a.graphql: A: Cannot query field 'nope' on type 'Query'"),
        ("query A {", "a.graphql:1: Syntax Error"),
        ("\n{ __typename }", "a.graphql:2: an operation must have a name"),
        ("query A { __typename }\nquery A { __typename }", "a.graphql:2: there is another A"),
        ("query A { representative { ...R } }", "Unknown fragment 'R'"),
        ("type T { a: Int }", "a.graphql:1: is neither an operation nor a fragment"),
        ("fragment F on Rep { name }", "there is no operation in these files"),
    ],
)
async def test_trust_refuses(tmp_path: Path, text: str, complaint: str) -> None:
    """What could not be executed does not get into a manifest; the message says where it is."""
    (tmp_path / "a.graphql").write_text(text)
    code, out, err = await run("trust", str(tmp_path / "a.graphql"))
    assert (code, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err
