"""Chromium, started once; gateways over real HTTP; and tabs, which fail their test if anything was wrong."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from peoplegraph import create_app
from peoplegraph.commands.serve import UVICORN
from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.sandbox.serving import serving
from peoplegraph.web.assets import FOLDER, Assets
from tests.browser.tab import ARGUMENTS, CHROMIUM, Tab
from tests.gateway import settings_for

Serve = Callable[..., Awaitable[str]]
OpenTab = Callable[..., Awaitable[Tab]]


def needed(missing: str) -> None:
    """Skip where something is not installed; CI has it all."""
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Run Chromium."""
    if not Path(CHROMIUM).exists():
        needed("there is no Chromium: apt-get install chromium")
    if not (FOLDER / "manifest.json").exists():
        needed("the assets are not built: npm ci && npm run build in frontend")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def serve(sandbox: Sandbox, blocks: Blocks) -> AsyncIterator[Serve]:  # noqa: ARG001  # as it began
    """Serve gateways over the emulated systems, and return where they are."""
    async with AsyncExitStack() as stack:

        async def start(assets: Assets | None = None, **overrides: Any) -> str:
            settings = settings_for(blocks, **{"current_assignee": "key-owner", **overrides})
            app = create_app(settings, assets)
            served = serving((app,), "127.0.0.1", 0, lifespan="on", **UVICORN)
            (server,) = await stack.enter_async_context(served)
            return server.url

        yield start


@pytest.fixture
async def open_tab(browser: Browser, serve: Serve) -> AsyncIterator[OpenTab]:
    """Open tabs on a gateway, each with a profile of its own; at the end they must have been without error."""
    tabs: list[Tab] = []

    async def start(
        url: str | None = None, expected: str | None = None, allowed: str | None = None, **options: Any
    ) -> Tab:
        context = await browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(20_000)
        tab = Tab(await context.new_page(), url or await serve(), expected, allowed)
        await tab.watch()
        tabs.append(tab)
        return tab

    yield start
    for tab in tabs:
        await tab.page.context.close()
    for tab in tabs:
        tab.assert_clean()
