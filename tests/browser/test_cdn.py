"""GraphiQL's page where the assets were not built: what it loads is checked by its hash."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Route, expect

from peoplegraph.web.assets import Assets
from tests.browser.conftest import OpenTab, Serve, needed
from tests.browser.tab import Tab

PACKAGES = Path(__file__).parents[2] / "frontend/cdn/node_modules"
ALLOWED = "unpkg.com"


async def open_with_cdn(open_tab: OpenTab, url: str, changed: bytes = b"", expected: str | None = None) -> Tab:
    """Open the page with a CDN that has npm's packages, but for what is `changed` at the end of GraphiQL."""
    if not PACKAGES.exists():
        needed("the packages are not installed: npm ci in frontend/cdn")

    async def fulfill(route: Route) -> None:
        name, _, path = urlsplit(route.request.url).path[1:].partition("/")
        body = (PACKAGES / name.rpartition("@")[0] / path).read_bytes()
        if path == "graphiql.min.js":
            body += changed
        kind = "text/css" if path.endswith(".css") else "text/javascript"
        headers = {"access-control-allow-origin": "*", "content-type": kind}
        await route.fulfill(body=body, headers=headers)

    tab = await open_tab(url, expected, allowed=ALLOWED)
    await tab.page.route(lambda asked: urlsplit(asked).hostname == ALLOWED, fulfill)
    await tab.open("/graphql")
    return tab


@pytest.fixture
async def bare(serve: Serve, tmp_path: Path) -> str:
    """Serve a gateway without assets."""
    return await serve(Assets(tmp_path))


async def test_graphiql_from_a_cdn(open_tab: OpenTab, bare: str) -> None:
    """It says where it comes from, and runs a query."""
    tab = await open_with_cdn(open_tab, bare)
    await expect(tab.page.locator("p").first).to_contain_text("GraphiQL comes from unpkg.com")
    await tab.page.locator(".graphiql-query-editor .CodeMirror").click()
    await tab.page.keyboard.press("Control+A")
    await tab.page.keyboard.insert_text('{ representative(reference: "REP-021") { name } }')
    await tab.page.locator(".graphiql-execute-button").click()
    await expect(tab.page.locator(".graphiql-response")).to_contain_text('"Radia Xu"')
    await tab.screenshot("graphiql-cdn")


async def test_a_changed_script_does_not_run(open_tab: OpenTab, bare: str) -> None:
    """What does not have its hash is refused by the browser."""
    tab = await open_with_cdn(open_tab, bare, b";window.evil = 1", expected="integrity|GraphiQL is not defined")
    await expect(tab.page.locator("p").first).to_be_visible()
    await tab.page.wait_for_load_state("load")
    assert await tab.page.evaluate("[typeof GraphiQL, typeof evil]") == ["undefined", "undefined"]
    assert any("integrity" in error for error in tab.errors)
