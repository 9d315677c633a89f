"""The docs: what they show is run, and what they list is complete."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr

import peoplegraph.errors as error_tree
from peoplegraph.access.caller import KeysUnavailable, Unauthenticated
from peoplegraph.access.quotas import TooMany
from peoplegraph.observe import metrics
from peoplegraph.sandbox.faults import CallFault, Fault
from peoplegraph.scopes import DATA, Scope
from peoplegraph.settings import variables
from peoplegraph.web.refusals import Ending, as_request_error
from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.test_schema import SCHEMA

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "docs/security.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
BACKEND = (ROOT / "docs/adding-a-backend.md").read_text(encoding="utf-8")
REFUSALS = (Unauthenticated("x"), KeysUnavailable("x"), TooMany("x", "x", 1), Ending())
EXAMPLES = re.findall(r"```graphql\n(.*?)```\n\n```json\n(.*?)```", README, re.DOTALL)


def table(heading: str, page: str = README) -> dict[str, str]:
    """Return the rows of a page's table whose first column is headed so: first cell, and the others."""
    text = page.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    rows = [row.strip("| ").split(" | ", 1) for row in text.splitlines()[2:]]
    return {row[0].strip(): row[1] for row in rows}


@pytest.mark.parametrize(("query", "answer"), EXAMPLES)
async def test_the_readmes_answers_are_real(gateway_with: MakeGateway, query: str, answer: str) -> None:
    """Each query of the README has the answer that is printed below it."""
    gateway = await gateway_with(current_assignee="key-owner")
    body = (await gateway.ask(query)).response.json()
    for error in body.get("errors", []):
        error["extensions"]["requestId"] = "…"
    assert body == json.loads(answer)


def test_the_readme_has_its_examples_and_commands() -> None:
    """There are three queries and a mutation, and the two commands."""
    assert [query.startswith("mutation") for query, _ in EXAMPLES] == [False, False, False, True]
    assert "\npip install . && peoplegraph demo\n" in README
    assert "\npip install -e '.[test]' && pytest\n" in README


async def test_five_calls_are_five_calls(gateway: Gateway) -> None:
    """The README's first query makes as many calls as it says."""
    await gateway.ask(EXAMPLES[0][0])
    assert "in five REST calls" in README
    assert len(gateway.calls) == 5


def test_every_setting_is_in_the_readme() -> None:
    """The tables there, in docs/security.md and in docs/operations.md have every variable and its default."""
    listed: dict[str, str] = {}
    for cell, rest in (table("variable") | table("variable", SECURITY) | table("variable", OPERATIONS)).items():
        names = re.findall(r"`([^`]+)`", cell)
        defaults = rest.split(" | ")[0].split(", ")
        for index, name in enumerate(names):
            listed[name.replace("…_", "PEOPLEGRAPH_")] = defaults[min(index, len(defaults) - 1)].strip("` |")
    assert listed.keys() == {name for name, _ in variables()}
    for name, field in variables():
        if field.default not in ("", SecretStr(""), None, (), frozenset(DATA)):
            default = getattr(field.default, "value", field.default)
            written = ",".join(default) if isinstance(default, tuple) else str(default)
            assert listed[name] == written, name


def test_every_metric_is_in_the_docs() -> None:
    """The table in docs/operations.md has each metric with its labels, and no other."""
    listed = {
        (name.removesuffix("_total"), tuple(re.findall(r"`(\w+)`", rest.split(" | ")[0])))
        for cell, rest in table("metric", OPERATIONS).items()
        for name in re.findall(r"`([^`]+)`", cell)
    }
    families = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
    assert listed == {(family._name, tuple(family._labelnames)) for family in families}  # noqa: SLF001


def test_every_error_code_is_in_the_readme() -> None:
    """The codes' table has every code that can be answered, and no other."""
    listed = {code for cell in table("code") for code in re.findall(r"`([^`]+)`", cell)}
    tree = {kind.code for kind in vars(error_tree).values() if isinstance(kind, type) and hasattr(kind, "code")}
    graphql = {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_REQUEST", "INTERNAL"}
    refusals = {as_request_error(refusal).code for refusal in REFUSALS}
    assert listed == tree | graphql | refusals


NEW = '{ departmentId: "dep-01", email: "a@b.example" }'
INPUTS: dict[str, list[str]] = {
    "createRepresentative": ['(reference: "N", input: {}) { representative { name } }'],
    "replaceRepresentative": ['(reference: "REP-001", input: {}) { representative { name } }'],
    "updateRepresentative": ['(reference: "REP-001", input: {}) { representative { name } }'],
    "linkRepresentativeAccounts": [
        '(reference: "REP-001", accountNumbers: ["ACCT-0001"]) { representative { name } }'
    ],
    "linkRepresentativeDocuments": [
        '(reference: "REP-001", documentNumbers: ["INV-0001"]) { representative { name } }'
    ],
    "createAssignee": [f"(input: {NEW}) {{ assignee {{ email }} }}"],
    "replaceAssignee": [
        f'(by: {{ assigneeId: "asg-0006" }}, input: {NEW}) {{ assignee {{ id }} }}',
        f'(by: {{ email: "a@b.example" }}, input: {NEW}) {{ assignee {{ id }} }}',
    ],
    "updateAssignee": [
        '(by: { assigneeId: "asg-0006" }, input: { email: "a@b.example" }) { assignee { id } }',
        '(by: { email: "a@b.example" }, input: { departmentCode: "TAX" }) { assignee { id } }',
    ],
    "deleteAssignee": [
        '(by: { assigneeId: "asg-0007" }) { deleted }',
        '(by: { departmentEmail: { departmentCode: "TAX", email: "a@b.example" } }) { deleted }',
    ],
    "createRep": ['(input: { agencyId: 1, username: "u", firstName: "f", lastName: "l" }) { rep { id } }'],
    "replaceRep": ['(repId: 1001, input: { firstName: "f", lastName: "l" }) { rep { id } }'],
    "updateRep": ["(repId: 1001, input: {}) { rep { id } }"],
}
TEMPLATES = [
    (r"/tenants/[^/]+", ""),
    (r"/representatives/[^/?]+", "/representatives/{reference}"),
    (r"/accounts/[^/?]+", "/accounts/{account_number}"),
    (r"/documents/[^/?]+", "/documents/{document_number}"),
    (r"/by-email/[^/?]+", "/by-email/{email}"),
    (r"/by-code/[^/?]+", "/by-code/{departmentCode}"),
    (r"/assignees/(?!by-email)[^/?]+", "/assignees/{assigneeId}"),
]


async def test_the_readmes_table_of_mutations_is_true(gateway: Gateway) -> None:
    """Every mutation has a row, and its calls, in their order, are exactly those that it makes."""
    rows = {name.strip("`"): calls for name, calls in table("mutation").items()}
    assert SCHEMA.mutation_type is not None
    assert rows.keys() == SCHEMA.mutation_type.fields.keys() == INPUTS.keys()
    for name, inputs in INPUTS.items():
        listed = re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) [^`]+)`", rows[name])
        made: list[str] = []
        for arguments in inputs:
            await gateway.data(f"mutation {{ {name}{arguments} }}")
            calls = [str(call) for call in gateway.recorded]
            for pattern, template in TEMPLATES:
                calls = [re.sub(pattern, template, call) for call in calls]
            positions = [listed.index(call) for call in calls]
            assert positions == sorted(positions), name
            made += calls
        assert set(made) == set(listed), name


def test_the_readmes_table_of_queries_is_complete() -> None:
    """Every root field that reads has a row."""
    listed = {name for cell in table("query") for name in re.findall(r"`(\w+)`", cell)}
    assert SCHEMA.query_type is not None
    assert SCHEMA.query_type.fields.keys() <= listed


def test_every_scope_is_in_the_docs() -> None:
    """The table in docs/security.md has each scope, and no other."""
    listed = {name for cell in table("scope", SECURITY) for name in re.findall(r"`([^`]+)`", cell)}
    assert listed == {str(scope) for scope in Scope}


def test_the_promises_have_tests_and_settings() -> None:
    """Every test and every setting that the pages on resilience and security name exists."""
    page = (ROOT / "docs/resilience.md").read_text(encoding="utf-8") + SECURITY
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 80
    assert named <= tests
    assert set(re.findall(r"`(PEOPLEGRAPH_[A-Z_]+)`", page)) <= {name for name, _ in variables()}


def test_every_fault_is_in_the_docs() -> None:
    """The table of faults has every kind with its options and their defaults, and no other."""
    page = (ROOT / "docs/resilience.md").read_text(encoding="utf-8")
    rows = [row.split(" | ") for row in page.split("| fault | options", 1)[1].split("\n\n")[0].splitlines()[2:]]
    listed = {re.findall(r"`([^`]+)`", row[0])[0]: set(re.findall(r"`([^`]+)`", row[1])) for row in rows}
    (kinds, _) = get_args(Fault)
    common = CallFault.model_fields.keys() | {"kind"}
    assert listed == {
        get_args(kind.model_fields["kind"].annotation)[0]: {
            f"{name}={field.default}" for name, field in kind.model_fields.items() if name not in common
        }
        for kind in get_args(kinds)
    }


def apply(root: Path, page: str) -> None:
    """Do what the page says: write its files, and make its changes to others."""
    for name, kind, block in re.findall(r"^`([\w/.]+)`\n|^```(\w+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        if name:
            path = root / name
        elif kind == "python":
            path.parent.mkdir(exist_ok=True)
            assert not path.exists()
            path.write_text(block, encoding="utf-8")
        elif kind == "diff":
            lines = block.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] in " -")
            new = "".join(line[1:] for line in lines if line[0] in " +")
            text = path.read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{path}: {old}"
            path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_newcomer_adds_a_backend(tmp_path: Path) -> None:
    """The page on adding a backend, followed to the letter, gives a fourth system that works and passes."""
    for folder in ("src", "tests"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "node_modules", ".venv")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    apply(tmp_path, BACKEND)

    def python(*arguments: str) -> Any:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    printed = python("-c", "from peoplegraph.cli import app; app(['schema'])")
    assert "type Agent implements Node & Person" in printed
    (tmp_path / "schema.graphql").write_text(printed, encoding="utf-8")
    tests = ("scenarios/test_helpdesk.py", "test_schema.py", "test_layering.py", "scenarios/test_credentials.py")
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{test}" for test in tests))
