"""`peoplegraph doctor`: what it says of systems that are well, and of those that are not."""

import asyncio
import ssl

import pytest
import trustme

from peoplegraph.commands.doctor import STORE, examine
from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.systems import System
from tests.gateway import settings_for
from tests.scripted import http, scripted


async def findings(blocks: Blocks, **overrides: object) -> dict[str, str]:
    """Return what is found, by system."""
    settings = settings_for(blocks, **overrides)
    names = {system.title: system.name for system in System} | {STORE: "STORE"}
    return {names[finding.about]: str(finding) async for finding in examine(settings)}


async def test_all_is_well(blocks: Blocks, sandbox: Sandbox) -> None:
    """Each system is reached with one read, which changes nothing."""
    found = await findings(blocks)
    assert [line.split(": ")[1] for line in found.values()] == ["ok", "ok", "ok"]
    assert [str(call) for call in sandbox.ledger.calls] == [
        "GET /representatives/peoplegraph-doctor",
        "GET /tenants/sandbox-tenant/departments",
        "POST /Rep",
    ]


@pytest.mark.parametrize(
    ("system", "answer", "words"),
    [
        ("collections", http(403), "Is PEOPLEGRAPH_COLLECTIONS_API_KEY right, and does its owner have"),
        ("disputes", http(401), "Is PEOPLEGRAPH_DISPUTES_API_KEY right?"),
        ("disputes", http(404), "Is PEOPLEGRAPH_DISPUTES_URL right, with the whole path of the API in it?"),
        ("rpm", http(404), "Is PEOPLEGRAPH_RPM_URL right, with the whole path of the API in it?"),
        ("rpm", http(200, "<html>secret</html>"), "RPM sent an answer that cannot be understood. Is"),
        ("rpm", b"", "RPM broke the connection off. It may be down for the moment: try again."),
        ("rpm", http(503), "RPM is not available (503). It may be down for the moment: try again."),
        ("rpm", http(429), "Its calls are used up for now: try later."),
    ],
)
async def test_what_is_wrong_is_said(blocks: Blocks, system: str, answer: bytes, words: str) -> None:
    """A system that cannot be reached, or refuses, is told with what to look at; the others are well."""
    async with scripted(lambda _: answer) as upstream:
        found = await findings(blocks, **{system: {"url": upstream.url}})
    assert ": FAILED: " in found[system.upper()]
    assert words in found[system.upper()]
    assert "secret" not in found[system.upper()]
    assert sum(": ok: " in line for line in found.values()) == 2
    assert len(upstream.requests) == 1


async def test_why_nobody_is_reached(blocks: Blocks, sandbox: Sandbox) -> None:
    """A port where nobody listens, a name that is none, and a certificate that is not trusted are told apart."""
    del sandbox
    certificate = trustme.CA().issue_cert("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with scripted(lambda _: b"") as upstream:
        gone = upstream.url
    async with server:
        found = await findings(
            blocks,
            rpm={"url": gone},
            collections={"url": f"https://localhost:{port}"},
            disputes={"url": "https://nobody.invalid"},
        )
    assert found["RPM"].endswith(
        "RPM cannot be reached. Nobody listens there: is PEOPLEGRAPH_RPM_URL right, port and all?"
    )
    assert "Its certificate is not trusted: " in found["COLLECTIONS"]
    assert found["DISPUTES"].endswith("The name in PEOPLEGRAPH_DISPUTES_URL is not known here.")


async def test_what_cannot_be_checked_is_said(blocks: Blocks) -> None:
    """A system without a URL, and one that is called with the caller's credential, are passed over."""
    found = await findings(blocks, rpm={"url": ""}, disputes={"credential": "caller"})
    assert found["RPM"] == "RPM: skipped: PEOPLEGRAPH_RPM_URL is not set"
    assert found["DISPUTES"].startswith("Billtrust Disputes: skipped: ")
