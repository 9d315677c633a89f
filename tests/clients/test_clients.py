"""docs/clients.md: its files are written, its commands run, and what they print is what the page says."""

import asyncio
import json
import os
import re
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.test_cli import ROOT, command, printed, run
from tests.test_docs import table

PAGE = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
GENERATOR = HERE / ".venv/bin"
"""Where ariadne-codegen is: it cannot be installed beside the gateway's graphql-core."""

SCOPES = ("representatives:read", "assignees:read", "assignees:write")


@dataclass(frozen=True, slots=True)
class Section:
    """What a section of the page says to do: files to write, and commands with what they print if it is said."""

    title: str
    files: dict[str, str]
    commands: list[tuple[str, str | None]]

    def __str__(self) -> str:
        return self.title


def sections() -> Iterator[Section]:
    """Yield the sections that have something to run."""
    for part in PAGE.split("\n## ")[1:]:
        files = re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
        commands = re.findall(r"^```sh\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", part, re.DOTALL | re.MULTILINE)
        if commands:
            yield Section(part.splitlines()[0], dict(files), [(said, shown or None) for said, shown in commands])


SECTIONS = list(sections())


def missing(what: str) -> None:
    """Skip the test, or fail it in CI, where nothing is to be missing."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)


async def output(arguments: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a command of the page in a folder, to its end; return what it wrote."""
    process = await asyncio.create_subprocess_shell(
        arguments, cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT
    )
    written, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, written.decode()
    return written.decode()


@pytest.mark.parametrize("section", SECTIONS, ids=str)
async def test_the_snippets_do_what_the_page_says(section: Section, tmp_path: Path) -> None:
    """Each section's files, run by its commands against a gateway with a key, print what is below them."""
    path = [*os.environ["PATH"].split(os.pathsep)]
    if "ariadne" in section.title:
        path.insert(0, str(GENERATOR))
        if not (GENERATOR / "ariadne-codegen").exists():
            missing("ariadne-codegen is not installed: see tests/clients/requirements.in")
    else:
        path.insert(0, str(Path(sys.executable).parent))
    if "Python" not in section.title:
        if shutil.which("node") is None or not MODULES.exists():
            missing("the clients are not installed: npm ci in tests/clients")
        (tmp_path / "node_modules").symlink_to(MODULES)
    shutil.copy(ROOT / "schema.graphql", tmp_path)
    for name, text in section.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    _, keys, key = await run("api-key", "front-end", *SCOPES)
    (tmp_path / "keys.toml").write_text(keys, encoding="utf-8")
    settings = {"PEOPLEGRAPH_KEYS_FILE": str(tmp_path / "keys.toml"), "PEOPLEGRAPH_PERSISTED_QUERIES": "1000"}
    environment = {**os.environ, "PATH": os.pathsep.join(path), "GRAPHQL_TOKEN": key.strip()}
    shown_any = False
    async with AsyncExitStack() as stack:
        for arguments, shown in section.commands:
            if shown is None:
                await output(arguments, tmp_path, environment)
                continue
            if not shown_any:
                for manifest in tmp_path.glob("src/gql/persisted-documents.json"):
                    settings["PEOPLEGRAPH_TRUSTED_MANIFEST"] = str(manifest)
                    settings["PEOPLEGRAPH_TRUSTED_DOCUMENTS"] = "enforce"
                demo = await stack.enter_async_context(command("demo", "--port", "0", **settings))
                environment["GRAPHQL_URL"] = (await printed(demo, r"GraphiQL: (http://\S+)"))[1]
            assert await output(arguments, tmp_path, environment) == shown
            shown_any = True
    assert shown_any


def test_every_client_has_a_section() -> None:
    """The four clients and the two generators, each with files, a command and what it prints."""
    assert [section.title for section in SECTIONS] == [
        "Apollo Client",
        "urql",
        "Relay",
        "Python: gql",
        "TypeScript: graphql-codegen",
        "Python: ariadne-codegen",
    ]


def test_what_the_page_installs_is_what_is_run() -> None:
    """Each package that the page says to install is pinned for these tests."""
    pinned = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    named = {name for line in re.findall(r"`npm install ([^`]+)`", PAGE) for name in line.split() if name[0] != "-"}
    assert len(named) > 8
    assert named <= pinned.keys()
    assert all(re.fullmatch(r"[\d.]+", version) for version in pinned.values())


def test_the_codes_worth_a_branch_are_codes() -> None:
    """The page names no error code that the README does not list."""
    listed = {code for cell in table("code") for code in re.findall(r"`([^`]+)`", cell)}
    named = {code for cell in table("code", PAGE) for code in re.findall(r"`([^`]+)`", cell)}
    assert len(named) > 7
    assert named <= listed
    assert set(re.findall(r"`((?:PERSISTED|UNAUTH|UPSTREAM)[A-Z_]+)`", PAGE)) <= listed
