"""What tests share: the emulated systems, fresh for each test, and gateways over them."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from peoplegraph.sandbox import Blocks, Running, Sandbox
from peoplegraph.sandbox.store import Store
from tests.access.callers import EC, RSA, jwks
from tests.gateway import Gateway, running_gateway, settings_for

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

MakeGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PEOPLEGRAPH_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
async def served() -> AsyncIterator[tuple[Sandbox, Running, Store]]:
    """Run the emulated systems, and keep a copy of what they began with."""
    sandbox = Sandbox()
    seeded = Store()
    seeded.copy_from(sandbox.store)
    async with sandbox.running() as running:
        yield sandbox, running, seeded
    sandbox.close()
    seeded.close()


@pytest.fixture
def blocks(served: tuple[Sandbox, Running, Store]) -> Blocks:
    """Return where the emulated systems are."""
    return served[1].blocks


@pytest.fixture
def control_url(served: tuple[Sandbox, Running, Store]) -> str:
    """Return where the faults of the emulated systems are switched."""
    return served[1].control_url


@pytest.fixture
async def sandbox(served: tuple[Sandbox, Running, Store]) -> Sandbox:
    """Return the emulated systems as they began: seeded, nothing recorded, no fault."""
    sandbox, _, seeded = served
    sandbox.store.copy_from(seeded)
    sandbox.ledger.calls.clear()
    sandbox.rpm.calls_left = None
    await sandbox.switch([])
    return sandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the engine that gateways under test use, and the event loop that everything runs on."""
    parser.addoption("--engine", choices=["http1", "httpx"], default="http1", help="what carries upstream calls")
    parser.addoption("--loop", choices=["asyncio", "uvloop"], default="asyncio", help="the event loop")


def pytest_configure(config: pytest.Config) -> None:
    """Put the event loop in place."""
    if config.getoption("--loop") == "uvloop":
        import uvloop  # noqa: PLC0415  # there is none on Windows

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


@pytest.fixture
def engine_name(request: pytest.FixtureRequest) -> str:
    """Return the engine that gateways under test use."""
    return str(request.config.getoption("--engine"))


@pytest.fixture
async def gateway(sandbox: Sandbox, blocks: Blocks, engine_name: str) -> AsyncIterator[Gateway]:
    """Run a gateway over the three emulated systems."""
    async with running_gateway(settings_for(blocks, upstream_engine=engine_name), sandbox) as gateway:
        yield gateway


@pytest.fixture
async def gateway_with(sandbox: Sandbox, blocks: Blocks, engine_name: str) -> AsyncIterator[MakeGateway]:
    """Make gateways with other settings, given as overrides of each system's block."""
    async with AsyncExitStack() as stack:

        async def make(**overrides: Any) -> Gateway:
            settings = settings_for(blocks, **{"upstream_engine": engine_name, **overrides})
            return await stack.enter_async_context(running_gateway(settings, sandbox))

        yield make


@pytest.fixture
def jwks_file(tmp_path: Path) -> Path:
    """Return a file with the keys of an issuer of tokens."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(jwks(RSA, EC)))
    return path
