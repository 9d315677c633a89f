"""docs/federation.md: composed by both composers, run by both routers, with an invoice service beside it."""

import asyncio
import json
import os
import re
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from peoplegraph import create_app
from peoplegraph.access.api_keys import new_key
from peoplegraph.commands.serve import UVICORN
from peoplegraph.sandbox import Running, Sandbox
from peoplegraph.sandbox.seed import human
from peoplegraph.sandbox.serving import serving
from peoplegraph.sandbox.store import Store
from peoplegraph.scopes import DATA, Scope
from tests.clients.test_clients import missing, output
from tests.gateway import Reply, settings_for
from tests.test_cli import ROOT, printed

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
PAGE = (ROOT / "docs/federation.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w.]+)`\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
QUERY, ANSWER = re.findall(
    r"^```graphql\n({.*?)^```\n\nwith\n\n```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
)[0]

FULL, NARROW = new_key(), new_key()
"""The keys of a caller who may read and write all data, and of one who may read representatives."""

OTHER = """
type Page @shareable { pageInfo: PageInfo! accounts: AccountConnection! error: InvalidInput phone: PhoneNumber }
type PageInfo @shareable {
  hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String
}
type AccountConnection @shareable { nodes: [Account!]! totalCount: Int edges: [AccountEdge!]! pageInfo: PageInfo! }
type AccountEdge @shareable { cursor: String! node: Account! }
type InvalidInput @shareable { message: String! issues: [FieldIssue!]! }
type FieldIssue @shareable { path: [String!]! message: String! }
type PhoneNumber @shareable { kind: PhoneKind! number: String! typeCode: Int }
enum PhoneKind { BUSINESS MOBILE HOME FAX OTHER }
extend type Query { page: Page }
"""


@dataclass(frozen=True, slots=True)
class Router:
    """A router that runs; `requests` are those that the gateway has had from it."""

    client: httpx.AsyncClient
    requests: list[str]

    async def ask(self, query: str, key: str | None = FULL[0], **variables: Any) -> Reply:
        """Ask with a key, or without one."""
        self.requests.clear()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        response = await self.client.post("", json={"query": query, "variables": variables}, headers=headers)
        body = response.json()
        return Reply(body.get("data"), body.get("errors", []), response)


@asynccontextmanager
async def node(folder: Path, *arguments: str, **environment: str) -> AsyncIterator[str]:
    """Run a server of Node until the block ends, cut off from all but this machine; return its URL."""
    process = await asyncio.create_subprocess_exec(
        "node",
        "--import",
        str(HERE / "loopback.mjs"),
        *arguments,
        cwd=folder,
        env={**os.environ, "PORT": "0", "NO_COLOR": "1", **environment},
        stdout=PIPE,
    )
    try:
        yield (await printed(process, r"(http://127\.0\.0\.1:\d+/\S*)"))[1]
        assert process.returncode is None
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the page's files, and the packages that it says to install."""
    if shutil.which("node") is None or not MODULES.exists():
        missing("the routers are not installed: npm ci in tests/federation")
    folder = tmp_path_factory.mktemp("federation")
    (folder / "node_modules").symlink_to(MODULES)
    shutil.copy(HERE / "invoices.mjs", folder)  # beside the packages, where Node looks for them
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


async def compose(folder: Path, composer: str, gateway_url: str, invoices_url: str) -> None:
    """Run the page's commands with a composer."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "NODE_OPTIONS": f"--import {HERE / 'loopback.mjs'}",
        "GATEWAY_URL": gateway_url,
        "INVOICES_URL": invoices_url,
    }
    await output(f"set -e\n{COMMANDS[0].replace(' apollo ', f' {composer} ')}", folder, environment)


@pytest.fixture(
    scope="module",
    params=[("apollo", "apollo"), ("guild", "apollo"), ("apollo", "hive"), ("guild", "hive")],
    ids=lambda names: f"composed by {names[0]}, run by {names[1]}",
)
async def router(
    request: pytest.FixtureRequest, folder: Path, served: tuple[Sandbox, Running, Store]
) -> AsyncIterator[Router]:
    """Run a router over a gateway and an invoice service, composed by the page's commands."""
    composer, name = request.param
    settings = settings_for(
        served[1].blocks,
        federation=True,
        introspection=False,
        api_keys=[
            {"name": "full", "sha256": FULL[1], "scopes": list(DATA)},
            {"name": "narrow", "sha256": NARROW[1], "scopes": [Scope.REPRESENTATIVES_READ]},
        ],
    )
    app, requests = create_app(settings), list[str]()

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            requests.append(scope["path"])
        await app(scope, receive, send)

    async with AsyncExitStack() as stack:
        served_apps = serving((counted,), "127.0.0.1", 0, lifespan="on", **UVICORN)
        (gateway,) = await stack.enter_async_context(served_apps)
        invoices_url = await stack.enter_async_context(node(folder, "invoices.mjs"))
        await compose(folder, composer, f"{gateway.url}/graphql", invoices_url)
        (said,) = [said.split() for said in COMMANDS if f"{name}.mjs" in said]
        *variables, command, script = said
        assert command == "node"
        environment = dict(variable.split("=", 1) for variable in variables)
        url = await stack.enter_async_context(node(folder, script, **environment))
        yield Router(await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30)), requests)


def calls(sandbox: Sandbox) -> list[str]:
    """Return the calls that the systems have had."""
    return sorted(f"{call.system} {call}" for call in sandbox.ledger.calls)


async def test_the_pages_query(router: Router, sandbox: Sandbox) -> None:
    """From ours to theirs and back: the answer, the requests and the calls are those that the page tells."""
    reply = await router.ask(QUERY)
    assert reply.response.json() == json.loads(ANSWER)
    assert len(router.requests) == 2
    assert calls(sandbox) == [
        "COLLECTIONS GET /representatives/REP-021",
        "COLLECTIONS GET /representatives/REP-021",
        "COLLECTIONS GET /representatives/REP-022",
    ]


async def test_accounts_and_documents_with_their_invoices(router: Router, sandbox: Sandbox) -> None:
    """What another subgraph adds to our numbers costs one call in all, and one request."""
    reply = await router.ask(
        """query ($r: String!) { representative(reference: $r) {
          accounts { nodes { number invoices { number } } }
          documents { edges { node { number invoice { amount } } } }
        } }""",
        r="REP-021",
    )
    found = reply.data["representative"]
    assert [(each["number"], [i["number"] for i in each["invoices"]]) for each in found["accounts"]["nodes"]] == [
        ("ACCT-0106", ["INV-0064", "INV-0067"]),
        ("ACCT-0107", []),
        ("ACCT-0108", ["INV-0068"]),
    ]
    assert found["documents"]["edges"] == [{"node": {"number": "INV-0064", "invoice": {"amount": 120.5}}}]
    assert len(router.requests) == 1
    assert calls(sandbox) == ["COLLECTIONS GET /representatives/REP-021"]


async def test_one_bad_entity_spoils_only_itself(router: Router, sandbox: Sandbox) -> None:
    """Of five invoices' collectors one has no key: it alone is an error; who is not there is null."""
    reply = await router.ask("{ invoices { number account { number } collector { displayName email } } }")
    assert [invoice["collector"] and invoice["collector"]["displayName"] for invoice in reply.data["invoices"]] == [
        " ".join(human(21)[:2]),
        " ".join(human(22)[:2]),
        " ".join(human(21)[:2]),
        None,
        None,
    ]
    assert {tuple(error["path"][:3]) for error in reply.errors} == {("invoices", 3, "collector")}
    assert {error["extensions"]["code"] for error in reply.errors} == {"BAD_INPUT"}
    assert len(router.requests) == 1
    assert calls(sandbox) == [
        f"COLLECTIONS GET /representatives/{each}" for each in ("NOBODY", "REP-021", "REP-022")
    ]


async def test_joins_go_on_from_an_entity(router: Router, sandbox: Sandbox) -> None:
    """Who is reached from another subgraph has all that ours know: interfaces, other systems, inputs by @oneOf."""
    reply = await router.ask(
        """{
          invoices { collector {
            supervisor { displayName } counterparts { __typename ... on Assignee { email } }
          } }
          rep(by: { repId: 1011 }) { displayName relationship }
        }"""
    )
    assert [error["extensions"]["code"] for error in reply.errors if error["path"][1] != 3] == []
    first = reply.data["invoices"][0]["collector"]
    assert first == {
        "supervisor": {"displayName": " ".join(human(4)[:2])},
        "counterparts": [{"__typename": "Assignee", "email": human(21)[2]}],
    }
    assert reply.data["rep"]["displayName"] == " ".join(human(21)[:2])
    assert len([call for call in calls(sandbox) if "REP-021" in call]) == 1


async def test_mutations(router: Router, sandbox: Sandbox) -> None:
    """A write goes through the router, with a refusal as data."""
    reply = await router.ask(
        """mutation {
          updateRepresentative(reference: "REP-021", input: { title: "Collector" }) {
            representative { title accounts(first: 1) { nodes { invoices { number } } } } errors { message }
          }
          updateRep(repId: 4, input: {}) { rep { name } errors { __typename } }
        }"""
    )
    assert reply.errors == []
    written = reply.data["updateRepresentative"]
    assert written["errors"] == []
    assert written["representative"]["title"] == "Collector"
    assert [each["number"] for each in written["representative"]["accounts"]["nodes"][0]["invoices"]]
    assert reply.data["updateRep"] == {"rep": None, "errors": [{"__typename": "NotFound"}]}
    assert len([call for call in calls(sandbox) if "PATCH" in call]) == 1


async def test_the_callers_scopes_hold(router: Router, sandbox: Sandbox) -> None:
    """What a router forwards decides: without a key nothing is had, with a narrow one what it is for."""
    query = """{
      representative(reference: "REP-021") { displayName assignee { email } } rep(by: { repId: 1011 }) { name }
    }"""
    reply = await router.ask(query, None)
    assert reply.errors
    assert not any((reply.data or {}).values())
    assert calls(sandbox) == []
    reply = await router.ask(query, NARROW[0])
    assert reply.data == {"representative": {"displayName": "Radia Xu", "assignee": None}, "rep": None}
    assert reply.codes == {"representative.assignee": "FORBIDDEN", "rep": "FORBIDDEN"}
    assert calls(sandbox) == ["COLLECTIONS GET /representatives/REP-021"]


@pytest.mark.parametrize("composer", ["apollo", "guild"])
async def test_values_may_be_handed_out_by_others(folder: Path, tmp_path: Path, composer: str) -> None:
    """A subgraph that defines pages, numbers and user errors itself composes with ours, for either composer."""
    shutil.copytree(folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    other = FILES["invoices.graphql"].replace('["@key"]', '["@key", "@shareable"]') + OTHER
    (tmp_path / "invoices.graphql").write_text(other, encoding="utf-8")
    await compose(tmp_path, composer, "http://127.0.0.1:9/a", "http://127.0.0.1:9/b")
    supergraph = (tmp_path / "supergraph.graphql").read_text(encoding="utf-8")
    for name in ("PageInfo", "AccountConnection", "AccountEdge", "FieldIssue", "PhoneNumber"):
        assert (
            len(re.findall(rf"^type {name}\b.*?{{", supergraph, re.DOTALL | re.MULTILINE)[0].split("@join__type"))
            == 3
        )


async def test_no_process_reaches_the_network(folder: Path) -> None:
    """What all of these are run with ends a process that would connect to another machine."""
    program = "fetch('http://192.0.2.1/').catch(() => {}).then(() => process.exit(0))"
    process = await asyncio.create_subprocess_exec(
        "node", "--import", str(HERE / "loopback.mjs"), "--eval", program, cwd=folder, stderr=PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, said) == (70, b"refused to connect to 192.0.2.1\n")


def test_what_the_page_installs_is_what_is_run() -> None:
    """Each package that the page says to install is pinned for these tests."""
    pinned = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    named = {name for line in re.findall(r"`npm install ([^`]+)`", PAGE) for name in line.split()}
    assert len(named) == 7
    assert {name.removesuffix("@16") for name in named} <= pinned.keys()
    assert pinned["graphql"].startswith("16.")
    assert all(re.fullmatch(r"[\d.]+", version) for version in pinned.values())
    assert "resolved" not in (HERE / "package-lock.json").read_text(encoding="utf-8")
