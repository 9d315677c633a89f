"""The command line: parses, then calls one function each."""

import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version as distribution_version
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from graphql import GraphQLError
from pydantic import SecretStr, ValidationError

from peoplegraph.access.api_keys import new_key
from peoplegraph.access.trust import TrustError, files_in, manifest, read_texts
from peoplegraph.app import build_engine, check_files, create_app
from peoplegraph.commands import explain as explaining
from peoplegraph.commands.changes import SchemaError
from peoplegraph.commands.doctor import examine
from peoplegraph.commands.recorded import RecordedError, read_operations
from peoplegraph.commands.serve import UVICORN, spans_sent
from peoplegraph.commands.serve import serve as serve_gateway
from peoplegraph.commands.terminal import explanation, show, working
from peoplegraph.commands.verdict import COUNTS, FailOn, compare
from peoplegraph.observe import logs, metrics
from peoplegraph.sandbox import Running, Sandbox
from peoplegraph.sandbox.faults import Fault, FaultError, parse
from peoplegraph.sandbox.serving import listen, serving
from peoplegraph.schema import print_schema, print_subgraph
from peoplegraph.scopes import Scope
from peoplegraph.settings import (
    PREFIX,
    ApiKey,
    CredentialMode,
    CurrentAssignee,
    LogSettings,
    Settings,
    SettingsError,
    pass_on,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Host = Annotated[str | None, typer.Option(help="The address to listen on, instead of the setting's.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="The port, instead of the setting's.")]
Data = Annotated[Path | None, typer.Option(help="Keep the emulated systems' records in this SQLite file.")]

DEMO_QUERY = """\
{
  representative(reference: "REP-021") {
    displayName
    supervisor { displayName }
    assignee { displayName department { code defaultAssignee { displayName } } }
  }
  rep(by: { repId: 1011 }) {
    displayName
    agency { name }
    counterparts { id system displayName }
  }
}"""
"""One human in all three systems: three joins, five calls."""


def main() -> None:
    """Run the command line."""
    logs.configure(LogSettings())
    try:
        app()
    except (
        SettingsError,
        FaultError,
        TrustError,
        explaining.ExplainError,
        SchemaError,
        RecordedError,
        OSError,
        UnicodeDecodeError,
    ) as error:
        _fail(str(error))


@app.callback(invoke_without_command=True)
def _version(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False
) -> None:
    """One GraphQL schema over Billtrust Collections, Billtrust Disputes and RPM."""
    if version:
        _print(f"peoplegraph {distribution_version('peoplegraph')}")
        raise typer.Exit


@app.command()
def demo(host: Host = None, port: Port = None, data: Data = None) -> None:
    """Start the three emulated systems and the gateway over them."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    asyncio.run(_demo(_overrides(host, port), data))


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="How many processes, instead of the setting's.")
    ] = None,
) -> None:
    """Start the gateway over the systems that the settings name."""
    pass_on(_overrides(host, port) | ({} if workers is None else {"workers": workers}))
    settings = Settings.load()
    logs.configure(settings.log)
    check_files(settings)  # to say in one line what is wrong with them
    listen(settings.host, settings.port).close()
    serve_gateway(settings)


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(min=0, max=65532, help="The first system's port; 0 takes free ones."),
    ] = 8801,
    data: Data = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="Let calls fail: SYSTEM:KIND[,option=value]…, such as rpm:latency,ms=300. Repeatable."),
    ] = None,
) -> None:
    """Start the three emulated systems alone, and print the settings that point a gateway at them."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    asyncio.run(_sandbox(host, port, data, [parse(text) for text in fault or ()]))


@app.command()
def schema(
    check: Annotated[
        Path | None, typer.Option(help="Compare with this file, and say what the difference means for clients.")
    ] = None,
    operations: Annotated[
        list[Path] | None,
        typer.Option(
            help="Recorded operations, by which to tell whom a change hits: a file of GraphQL, a folder of "
            "them, or a manifest (.json) such as `peoplegraph trust` makes. Repeatable.",
        ),
    ] = None,
    fail_on: Annotated[
        FailOn,
        typer.Option(
            help="The least that is a failure: any difference, a dangerous change, or a breaking one; with "
            "--operations the last two only where they hit one of these."
        ),
    ] = FailOn.DIFFERENCE,
    *,
    federation: Annotated[
        bool, typer.Option("--federation", help="The subgraph's schema, as routers' tools compose it.")
    ] = False,
) -> None:
    """Print the schema, or check a file against it.

    Exit code 0: nothing that --fail-on names. 2: something is, or a file cannot be read.
    """
    printed, option = (print_subgraph(), " --federation") if federation else (print_schema(), "")
    if check is None:
        if operations or fail_on is not FailOn.DIFFERENCE:
            _fail("--operations and --fail-on are about a file: name it with --check")
        sys.stdout.write(printed)
        return
    with working("Reading operations"):
        recorded = read_operations(operations) if operations else ()
    with working("Comparing"):
        verdict = compare(check.read_text(encoding="utf-8"), printed, str(check), recorded)
    sys.stdout.writelines(f"{line}\n" for line in verdict.lines())
    if verdict.fails(fail_on):
        _fail(
            f"{check} is not the schema: write it anew with `peoplegraph schema{option} > {check}`"
            if fail_on is FailOn.DIFFERENCE
            else f"the schema has changes since {check} that are {' or '.join(sorted(COUNTS[fail_on]))}"
        )


@app.command()
def trust(
    operations: Annotated[
        list[Path], typer.Argument(help="Files with operations and fragments, or folders of .graphql files.")
    ],
) -> None:
    """Print a manifest of trusted documents, each checked against the schema, for PEOPLEGRAPH_TRUSTED_MANIFEST."""
    with working("Reading operations") as tell:
        texts = read_texts(files_in(operations))
        check = build_engine(Settings.read()).documents.errors
        numbers = count(1)

        def told(body: str) -> list[GraphQLError]:
            tell(f"Checking operation {next(numbers)}")
            return check(body)

        made = manifest(texts, told)
    sys.stdout.write(json.dumps(made, indent=2) + "\n")


@app.command()
def explain(
    query: Annotated[Path, typer.Argument(help="A file with a GraphQL document; - reads standard input.")],
    variables: Annotated[Path | None, typer.Option(help="A JSON file with the operation's variables.")] = None,
    operation: Annotated[str | None, typer.Option(help="Which of several operations.")] = None,
    *,
    run: Annotated[bool, typer.Option("--run", help="Run it, too, and tell which calls it made.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell which upstream calls an operation makes at worst; a mutation writes only with --run."""
    settings = Settings.load() if run else Settings.read()
    text = sys.stdin.read() if str(query) == "-" else query.read_text(encoding="utf-8")
    values = explaining.read_variables(variables)
    found = explaining.find(settings, text, operation)
    errors: list[Any] = []
    if run:
        with working("Running the operation"):
            explained, errors = asyncio.run(explaining.run(settings, found, values))
    else:
        explained = explaining.explain(settings, found, values)
    if as_json:
        _print(json.dumps(msgspec.to_builtins(explained) | ({"errors": errors} if errors else {}), indent=2))
        return
    show(explanation(explained, ran=run))
    for error in errors:
        sys.stderr.write(f"{'.'.join(map(str, error.get('path', [])))}: {error['message']}\n")


@app.command()
def api_key(
    name: Annotated[str, typer.Argument(help="Who asks with it.")],
    scopes: Annotated[list[Scope], typer.Argument(help="What it lets them do.")],
) -> None:
    """Make an API key: print it, once, and the entry by which PEOPLEGRAPH_KEYS_FILE knows it."""
    key, sha256 = new_key()
    try:
        ApiKey(name=name, sha256=SecretStr(sha256), scopes=frozenset(scopes))
    except ValidationError:
        _fail("a name is 1 to 100 printable characters")
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    sys.stderr.write(f"{key}\n")
    _print(
        f'[[api_keys]]\nname = {json.dumps(name, ensure_ascii=False)}\nsha256 = "{sha256}"\nscopes = [{listed}]\n'
    )


@app.command()
def doctor() -> None:
    """Check the settings, and reach each system with a harmless read, and the store; exit code 1 if one fails."""
    settings = Settings.load()
    check_files(settings)
    healthy = asyncio.run(_doctor(settings))
    raise typer.Exit(0 if healthy else 1)


async def _doctor(settings: Settings) -> bool:
    healthy = True
    with working("Reaching the systems") as tell:
        async for finding in examine(settings, lambda what: tell(f"Reaching {what}")):
            _print(str(finding))
            healthy = healthy and finding.healthy is not False
    return healthy


async def _demo(overrides: dict[str, Any], data: Path | None) -> None:
    stop = _stop_event()
    async with _sandbox_running("127.0.0.1", 0, data) as running, AsyncExitStack() as stack:
        systems = {name: {**block, "credential": CredentialMode.GATEWAY} for name, block in running.blocks.items()}
        settings = Settings.load(**overrides, **systems, current_assignee=CurrentAssignee.KEY_OWNER)
        logs.configure(settings.log)
        stack.enter_context(spans_sent(settings))
        if settings.metrics.port:
            stack.enter_context(metrics.served(settings.metrics.host, settings.metrics.port))
        options = {**UVICORN, "lifespan": "on", "ws_max_size": settings.max_body_bytes}
        async with serving((create_app(settings),), settings.host, settings.port, **options) as (server,):
            _print(f"GraphiQL: {server.url}/graphql\nDashboard: {server.url}/dashboard")
            _print(f"\nA query to try:\n\n{DEMO_QUERY}\n\nCtrl-C ends it.")
            await stop.wait()


async def _sandbox(host: str, port: int, data: Path | None, faults: Sequence[Fault]) -> None:
    stop = _stop_event()
    async with _sandbox_running(host, port, data, faults) as running:
        for name, block in running.blocks.items():
            for setting, value in block.items():
                _print(f"{PREFIX}{name}_{setting}".upper() + f"={value}")
        _print(f"# faults are switched at {running.control_url}")
        await stop.wait()


@asynccontextmanager
async def _sandbox_running(
    host: str, port: int, data: Path | None, faults: Sequence[Fault] = ()
) -> AsyncIterator[Running]:
    emulated = Sandbox(data)
    try:
        async with emulated.running(host, port, faults) as running:
            yield running
    finally:
        emulated.close()


def _stop_event() -> asyncio.Event:
    """Return an event that Ctrl-C and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop


def _overrides(host: str | None, port: int | None) -> dict[str, Any]:
    given = {"host": host, "port": port}
    return {name: value for name, value in given.items() if value is not None}


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _fail(message: str) -> None:
    sys.stderr.write(f"peoplegraph: {message}\n")
    raise SystemExit(2)
