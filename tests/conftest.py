"""What tests share: the emulated systems, fresh for each test, and gateways over them."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import hypothesis
import pytest

from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.sandbox.store import Store
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
async def served() -> AsyncIterator[tuple[Sandbox, Blocks, Store]]:
    """Run the emulated systems, and keep a copy of what they began with."""
    sandbox = Sandbox()
    seeded = Store()
    seeded.copy_from(sandbox.store)
    async with sandbox.running() as blocks:
        yield sandbox, blocks, seeded
    sandbox.close()
    seeded.close()


@pytest.fixture
def blocks(served: tuple[Sandbox, Blocks, Store]) -> Blocks:
    """Return where the emulated systems are."""
    return served[1]


@pytest.fixture
def sandbox(served: tuple[Sandbox, Blocks, Store]) -> Sandbox:
    """Return the emulated systems as they began: seeded, nothing recorded."""
    sandbox, _, seeded = served
    sandbox.store.copy_from(seeded)
    sandbox.ledger.calls.clear()
    sandbox.rpm.calls_left = None
    return sandbox


@pytest.fixture
async def gateway(sandbox: Sandbox, blocks: Blocks) -> AsyncIterator[Gateway]:
    """Run a gateway over the three emulated systems."""
    async with running_gateway(settings_for(blocks), sandbox) as gateway:
        yield gateway


@pytest.fixture
async def gateway_with(sandbox: Sandbox, blocks: Blocks) -> AsyncIterator[MakeGateway]:
    """Make gateways with other settings, given as overrides of each system's block."""
    async with AsyncExitStack() as stack:

        async def make(**overrides: Any) -> Gateway:
            return await stack.enter_async_context(running_gateway(settings_for(blocks, **overrides), sandbox))

        yield make
