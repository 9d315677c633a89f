"""The command line, as its users meet it: in processes of its own."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

import peoplegraph
from peoplegraph.cli import DEMO_QUERY
from peoplegraph.sandbox import collections
from peoplegraph.sandbox.seed import human

COMMAND = str(Path(sys.executable).with_name("peoplegraph"))
ROOT = Path(__file__).parents[1]


@asynccontextmanager
async def command(*arguments: str, **environment: str) -> AsyncIterator[Process]:
    """Run the command until the block ends."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, stdout=PIPE, stderr=PIPE, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def printed(process: Process, pattern: str) -> re.Match[str]:
    """Read the process's output up to a line that matches."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while line := (await process.stdout.readline()).decode():
            if match := re.search(pattern, line):
                return match
    raise AssertionError(f"no line matches {pattern}")


async def run(*arguments: str, **environment: str) -> tuple[int | None, str, str]:
    """Run the command to its end; return its exit code and what it wrote."""
    async with command(*arguments, **environment) as process:
        out, err = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode, out.decode(), err.decode()


async def ask(url: str, query: str) -> httpx.Response:
    """Ask a gateway over real HTTP."""
    async with httpx.AsyncClient() as client:
        return await client.post(url, json={"query": query})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_demo_answers_and_ends_cleanly(number: signal.Signals) -> None:
    """`demo` prints where it is, answers the query that it prints, and ends within two seconds of a signal."""
    async with command("demo", "--port", "0") as process:
        url = (await printed(process, r"GraphiQL: (http://127\.0\.0\.1:\d+/graphql)"))[1]
        body = (await ask(url, DEMO_QUERY)).json()
        assert "errors" not in body
        assert body["data"]["representative"]["assignee"]["displayName"] == " ".join(human(21)[:2])
        async with httpx.AsyncClient() as client:
            page = await client.get(url, headers={"accept": "text/html"})
        assert "graphiql" in page.text.lower()
        process.send_signal(number)
        async with asyncio.timeout(2):
            assert await process.wait() == 0
        assert process.stderr is not None
        assert b"Traceback" not in await process.stderr.read()


async def test_demo_ends_in_time_with_a_request_under_way() -> None:
    """A connection that is open, and one that is half-way through a request, do not hold the end up."""
    async with command("demo", "--port", "0") as process:
        port = int((await printed(process, r"GraphiQL: http://127\.0\.0\.1:(\d+)/"))[1])
        _, idle = await asyncio.open_connection("127.0.0.1", port)
        _, half = await asyncio.open_connection("127.0.0.1", port)
        half.write(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        await half.drain()
        await asyncio.sleep(0.2)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(2):
            assert await process.wait() == 0
        idle.close()
        half.close()
        assert process.stderr is not None
        assert b"Traceback" not in await process.stderr.read()


RPM = {"PEOPLEGRAPH_RPM_URL": "http://127.0.0.1:9/Api2.svc", "PEOPLEGRAPH_RPM_API_KEY": "k"}


async def test_help_and_version() -> None:
    """`--help` says what each command does, `--version` which one it is."""
    code, out, _ = await run("--help")
    assert code == 0
    assert all(name in out for name in ("demo", "serve", "sandbox", "schema"))
    assert await run("--version") == (0, f"peoplegraph {peoplegraph.__version__}\n", "")


async def test_doctor_has_an_exit_code_for_scripts() -> None:
    """Without settings it is 2, with a system that cannot be reached 1."""
    code, _, err = await run("doctor")
    assert (code, err.count("\n")) == (2, 1)
    code, out, _ = await run("doctor", **RPM)
    assert code == 1
    assert "RPM: FAILED: RPM cannot be reached. Nobody listens there: is PEOPLEGRAPH_RPM_URL right" in out
    assert "Billtrust Disputes: skipped" in out


async def test_a_port_that_is_taken() -> None:
    """A port that somebody else has is one line, and no traceback."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    async with server:
        for arguments in (("demo", "--port", port), ("sandbox", "--port", port), ("serve", "--port", port)):
            code, _, err = await run(*arguments, **RPM)
            assert code == 2
            assert err.splitlines()[-1] == f"peoplegraph: cannot listen on 127.0.0.1:{port}: Address already in use"
            assert "Traceback" not in err


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """`--data` with a file of something else is one line, and leaves the file alone."""
    file = tmp_path / "letter.txt"
    file.write_text("Dear all,\n" * 1000)
    code, _, err = await run("sandbox", "--port", "0", "--data", str(file))
    assert (code, err) == (2, f"peoplegraph: {file}: file is not a database\n")
    assert file.read_text().startswith("Dear all")


async def test_serve_over_a_sandbox(tmp_path: Path) -> None:
    """The settings that `sandbox` prints are those with which `serve` answers; `--data` keeps what was written."""
    file = str(tmp_path / "people.sqlite")
    async with command("sandbox", "--port", "0", "--data", file) as process:
        environment = {}
        for _ in range(7):
            match = await printed(process, r"^(PEOPLEGRAPH_\w+)=(.+)$")
            environment[match[1]] = match[2]
        async with httpx.AsyncClient() as client:
            url = f"{environment['PEOPLEGRAPH_COLLECTIONS_URL']}/representatives/NEW"
            await client.post(url, json={"name": "Kept"}, headers={"X-API-Key": collections.KEY})
        port = await free_port()
        async with command("serve", "--port", str(port), **environment) as gateway:
            body = (
                await asked_when_up(
                    port, '{ representative(reference: "NEW") { name } rep(by: { repId: 1001 }) { repId } }'
                )
            ).json()
            assert body == {"data": {"representative": {"name": "Kept"}, "rep": {"repId": 1001}}}
            gateway.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                await gateway.wait()
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    async with command("sandbox", "--port", "0", "--data", file) as process:
        base = (await printed(process, r"COLLECTIONS_URL=(.+)$"))[1]
        async with httpx.AsyncClient() as client:
            kept = await client.get(f"{base}/representatives/NEW", headers={"X-API-Key": collections.KEY})
        assert kept.json()["name"] == "Kept"


async def test_a_sandbox_with_faults() -> None:
    """`--fault` lets calls fail from the start; the printed address switches it off; a wrong one is one line."""
    async with command("sandbox", "--port", "0", "--fault", "collections:error,status=500") as process:
        base = (await printed(process, r"COLLECTIONS_URL=(.+)$"))[1]
        switch = (await printed(process, r"faults are switched at (.+)$"))[1]
        async with httpx.AsyncClient(headers={"X-API-Key": collections.KEY}) as client:
            assert (await client.get(f"{base}/representatives/REP-001")).status_code == 500
            assert (await client.put(switch, content=b"[]")).status_code == 200
            assert (await client.get(f"{base}/representatives/REP-001")).status_code == 200
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    for wrong in ("crm:refuse", "rpm:error,status=x"):
        code, _, err = await run("sandbox", "--port", "0", "--fault", wrong)
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith(f"peoplegraph: '{wrong}': ")


async def free_port() -> int:
    """Return a port that nobody listens on."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def asked_when_up(port: int, query: str) -> httpx.Response:
    """Ask a gateway as soon as it listens."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await ask(f"http://127.0.0.1:{port}/graphql", query)
            except httpx.ConnectError:
                await asyncio.sleep(0.05)


async def test_serve_without_settings_says_what_is_missing(tmp_path: Path) -> None:
    """A start without any system, or with a wrong setting, is one line and exit code 2."""
    code, out, err = await run("serve")
    assert (code, out) == (2, "")
    assert err.startswith("peoplegraph: no system is configured: set at least one of PEOPLEGRAPH_COLLECTIONS_URL")
    assert err.count("\n") == 1
    code, _, err = await run("serve", PEOPLEGRAPH_RPM_URL=f"https://{tmp_path.name}.example")
    assert code == 2
    assert err == "peoplegraph: PEOPLEGRAPH_RPM_API_KEY: is needed to reach the system with the gateway's own key\n"


async def test_schema_prints_what_is_committed() -> None:
    """`schema` prints the schema, and `schema --check` accepts the committed file."""
    code, out, _ = await run("schema")
    assert code == 0
    assert out == (ROOT / "schema.graphql").read_text(encoding="utf-8")
    assert await run("schema", "--check", str(ROOT / "schema.graphql")) == (0, "", "")


async def test_the_subgraph_is_printed_and_checked(tmp_path: Path) -> None:
    """`schema --federation` prints what routers compose, and checks a file against it: another key is a break."""
    code, out, _ = await run("schema", "--federation")
    assert code == 0
    assert 'type Rep implements Node & Person @key(fields: "repId") {' in out
    file = tmp_path / "peoplegraph.graphql"
    file.write_text(out, encoding="utf-8")
    assert await run("schema", "--federation", "--check", str(file)) == (0, "", "")
    file.write_text(out.replace(' @key(fields: "repId")', ' @key(fields: "id")'), encoding="utf-8")
    check = ("schema", "--federation", "--check", str(file))
    code, told, _ = await run(*check, "--fail-on", "breaking")
    assert code == 2
    assert told.startswith('breaking:\n  Rep has @key(fields: "repId") now, no more @key(fields: "id").\n')
    assert f"write it anew with `peoplegraph schema --federation > {file}`" in (await run(*check))[2]


async def test_schema_check_shows_the_difference(tmp_path: Path) -> None:
    """`schema --check` of another schema shows what differs and fails."""
    other = tmp_path / "other.graphql"
    other.write_text((ROOT / "schema.graphql").read_text(encoding="utf-8").replace("assigneeId", "assignedId", 1))
    code, out, err = await run("schema", "--check", str(other))
    assert code == 2
    assert "-  assignedId" in out
    assert "+  assigneeId" in out
    assert err.startswith(f"peoplegraph: {other} is not the schema")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("nowhere.graphql", "binary"):
        code, _, err = await run("schema", "--check", str(tmp_path / name))
        assert code == 2
        assert err.startswith("peoplegraph: ")
        assert err.count("\n") == 1


async def test_schema_check_says_what_it_means_for_clients(tmp_path: Path) -> None:
    """Changes come before the difference, with whom they hit; `--fail-on` says which of them are exit code 2."""
    committed = (ROOT / "schema.graphql").read_text(encoding="utf-8")
    old = tmp_path / "old.graphql"
    old.write_text(committed.replace("type Agency {", "type Agency {\n  city: String\n", 1))
    (tmp_path / "app").mkdir()
    (tmp_path / "app/rep.graphql").write_text("query Rep { rep(by: { repId: 1 }) { agency { city } } }")
    trusted = tmp_path / "trusted.json"
    (tmp_path / "names.graphql").write_text("query Name { rep(by: { repId: 1 }) { name } }")
    code, out, _ = await run("trust", str(tmp_path / "names.graphql"))
    trusted.write_text(out)
    check = ("schema", "--check", str(old))

    code, out, err = await run(*check, "--fail-on", "breaking")
    assert (code, err) == (2, f"peoplegraph: the schema has changes since {old} that are breaking\n")
    assert out.startswith(f"breaking:\n  Field Agency.city was removed.\n\n--- {old}\n")

    code, out, _ = await run(*check, "--fail-on", "breaking", "--operations", str(tmp_path / "app"))
    assert code == 2
    assert (
        f"  Field Agency.city was removed.\n    hits Rep ({tmp_path}/app/rep.graphql)\nnot valid any more: " in out
    )

    code, out, err = await run(*check, "--fail-on", "breaking", "--operations", str(trusted))
    assert (code, err) == (0, "")
    assert "  Field Agency.city was removed.\n    hits none of the operations\n" in out
    code, _, err = await run(*check, "--operations", str(trusted))
    assert code == 2
    assert err.startswith(f"peoplegraph: {old} is not the schema")


async def test_schema_check_of_what_cannot_be_read(tmp_path: Path) -> None:
    """A file that is no schema, or has no operations, and options alone, are one line and exit code 2."""
    file = tmp_path / "letter.txt"
    file.write_text("Dear all,")
    for arguments, said in (
        (("--check", str(file)), f"{file}: it is no schema: "),
        (("--check", str(ROOT / "schema.graphql"), "--operations", str(file)), f"{file}:1: Syntax Error: "),
        (("--operations", str(file)), "--operations and --fail-on are about a file"),
    ):
        code, _, err = await run("schema", *arguments)
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith(f"peoplegraph: {said}")
    _, out, _ = await run("schema", "--help", COLUMNS="200")
    assert "Exit code 0" in out


SLOW = "query Slow { rep(by: { repId: 1011 }) { name } }"


async def test_what_takes_long_is_shown_and_can_be_stopped(tmp_path: Path) -> None:
    """On a terminal there is something to see while a slow system is asked; Ctrl-C ends it with no traceback."""
    query = tmp_path / "q.graphql"
    query.write_text(SLOW, encoding="utf-8")
    async with command("sandbox", "--port", "0", "--fault", "rpm:latency,ms=20000") as sandbox:
        assert sandbox.stdout is not None
        lines = [(await sandbox.stdout.readline()).decode().strip() for _ in range(7)]
        environment = dict(line.split("=", 1) for line in lines)
        ours, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            COMMAND, "explain", str(query), "--run", stdout=PIPE, stderr=theirs, env={**os.environ, **environment}
        )
        os.close(theirs)
        seen = await until_seen(ours, b"Running the operation")
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 10) == 130
        with suppress(OSError):  # the other end is closed
            seen += await asyncio.to_thread(os.read, ours, 10_000)
        os.close(ours)
    assert b"Traceback" not in seen


async def until_seen(fd: int, text: bytes) -> bytes:
    """Read a file until a text is in it."""
    seen = b""
    async with asyncio.timeout(20):
        while text not in seen:
            seen += await asyncio.to_thread(os.read, fd, 1000)
    return seen
