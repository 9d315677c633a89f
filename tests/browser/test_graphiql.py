"""GraphiQL, as people use it."""

import re
from hashlib import sha256

import pytest
from playwright.async_api import Locator, expect

from peoplegraph.sandbox import Sandbox
from peoplegraph.sandbox.faults import parse
from peoplegraph.scopes import Scope
from tests.browser.conftest import OpenTab, Serve
from tests.browser.tab import Tab
from tests.test_docs import EXAMPLES

QUERY, CONNECTION, ERROR, MUTATION = "RepresentativeAndRep", "Representative", "RepsAndNode", "UpdateAssigneeAnd"
KEY = "pgk_a-key-of-a-caller"


async def opened(tab: Tab, operation: str = QUERY) -> None:
    """Open the page, at one of the tabs that it begins with."""
    await tab.page.goto(f"{tab.url}/graphql")
    await expect(editor(tab)).to_contain_text(QUERY)
    await tab.by("tab", re.compile(f"^{operation}")).click()
    await expect(editor(tab)).to_contain_text(operation)
    await expect(tab.page.locator(".graphiql-execute-button")).to_be_enabled()


def editor(tab: Tab) -> Locator:
    """Return the lines of the query's editor."""
    return tab.page.locator(".graphiql-query-editor .view-lines")


def response(tab: Tab) -> Locator:
    """Return the lines of the response."""
    return tab.page.locator(".graphiql-response .view-lines")


async def run(tab: Tab) -> None:
    """Press the button."""
    await tab.page.locator(".graphiql-execute-button").click()


async def write(tab: Tab, text: str, where: str = ".graphiql-query-editor") -> None:
    """Write in an editor, in place of what it has."""
    await tab.page.locator(f"{where} .view-lines").click()
    await tab.page.keyboard.press("Control+A")
    await tab.page.keyboard.insert_text(text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_loads_with_the_network_cut_off(open_tab: OpenTab, scheme: str) -> None:
    """It needs nothing but the gateway, follows the system's colours, and has each query of the README as a tab."""
    tab = await open_tab(color_scheme=scheme)
    await opened(tab)
    for number, (query, _) in enumerate(EXAMPLES):
        await tab.page.get_by_role("tab").nth(number).click()
        for line in query.strip().splitlines()[1:]:
            await expect(editor(tab)).to_contain_text(line.strip())
    await expect(tab.page.get_by_role("tab")).to_have_count(len(EXAMPLES))
    background = await tab.page.locator(".graphiql-container").evaluate("e => getComputedStyle(e).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) > 382) == (scheme == "light")
    await tab.screenshot(f"graphiql-{scheme}")


async def test_the_theme_can_be_chosen(open_tab: OpenTab) -> None:
    """Whoever wants it dark on a light system has it dark, also the next time."""
    tab = await open_tab(color_scheme="light")
    await opened(tab)
    await tab.by("button", re.compile("settings")).click()
    await tab.by("button", "Dark").click()
    await expect(tab.page.locator("body.graphiql-dark")).to_be_attached()
    await tab.page.reload()
    await expect(tab.page.locator("body.graphiql-dark")).to_be_attached()


async def test_a_field_name_is_completed(open_tab: OpenTab) -> None:
    """The beginning of a field's name is enough."""
    tab = await open_tab()
    await opened(tab)
    await write(tab, "{ ")
    await tab.page.keyboard.type("currentA")
    suggestions = tab.page.locator(".suggest-widget.visible")
    await expect(suggestions).to_contain_text("currentAssignee")
    await tab.screenshot("graphiql-completion")
    await tab.page.keyboard.press("Enter")
    await expect(editor(tab)).to_contain_text("{ currentAssignee")


async def test_a_query_over_all_three_systems(open_tab: OpenTab) -> None:
    """The first tab's answer has what Collections, Disputes and RPM know."""
    tab = await open_tab()
    await opened(tab)
    await run(tab)
    for part in ('"Radia Xu"', '"Edsger Eriksen"', '"Agency 12"'):
        await expect(response(tab)).to_contain_text(part)
    await tab.screenshot("graphiql-query")


async def test_a_mutation(open_tab: OpenTab, sandbox: Sandbox) -> None:
    """It writes to the system, and what was refused is shown."""
    tab = await open_tab()
    await opened(tab, MUTATION)
    await run(tab)
    await expect(response(tab)).to_contain_text('"title": "Team Lead"')
    await expect(response(tab)).to_contain_text('"InvalidInput"')
    assert [call.method for call in sandbox.ledger.calls if call.method in ("PUT", "PATCH")] == ["PUT"]
    await tab.screenshot("graphiql-mutation")


async def test_an_error(open_tab: OpenTab) -> None:
    """An error stands beside the data, with its code."""
    tab = await open_tab()
    await opened(tab, ERROR)
    await run(tab)
    await expect(response(tab)).to_contain_text('"BAD_INPUT"')
    await expect(response(tab)).to_contain_text('"Agency 02"')
    await tab.screenshot("graphiql-error")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_waterfall(open_tab: OpenTab, serve: Serve, sandbox: Sandbox, scheme: str) -> None:
    """The panel has a bar for each call and attempt, where it came from and how it ended; the response has none."""
    await sandbox.switch([parse("rpm:error,status=503,times=1")])
    kept = {"cache_ttl_s": 60}
    tab = await open_tab(await serve(collections=kept, disputes=kept), color_scheme=scheme)
    await opened(tab)
    await tab.by("button", re.compile("Explain")).click()
    panel = tab.by("region", "Explain")
    await expect(panel).to_contain_text("Run an operation")
    await run(tab)
    await expect(panel).to_contain_text(re.compile(r"6 calls, 0 from cache, \d+ ms; at worst \d+"))
    rows = panel.locator(".explain-calls > li")
    await expect(rows).to_have_count(6)
    await expect(rows.filter(has_text="503")).to_contain_text("RPM POST /Rep")
    again = rows.filter(has_text="attempt 2")
    await expect(again).to_contain_text("200")
    first, last = [await row.locator(".explain-bar").bounding_box() for row in (rows.first, again)]
    assert first is not None
    assert last is not None
    assert first["x"] < last["x"]
    worst = panel.locator(".explain-tree > li", has_text="Query.representative")
    await expect(worst.locator("ul").first).to_contain_text("GET /assignees/{assigneeId}")
    await expect(response(tab)).to_contain_text('"Edsger Eriksen"')
    await expect(response(tab)).not_to_contain_text("explain")
    await tab.screenshot(f"graphiql-explain-{scheme}")
    await run(tab)
    await expect(panel).to_contain_text("1 call, 4 from cache")
    await expect(rows.filter(has_text="from the cache")).to_have_count(4)
    await tab.screenshot(f"graphiql-explain-cache-{scheme}")


async def test_who_may_not_have_an_explanation(open_tab: OpenTab, serve: Serve) -> None:
    """The panel says why there is none, and the answer is there as usual."""
    tab = await open_tab(await serve(explain=False))
    await opened(tab)
    await tab.by("button", re.compile("Explain")).click()
    await run(tab)
    await expect(tab.by("region", "Explain")).to_contain_text("FORBIDDEN")
    await expect(response(tab)).to_contain_text('"Edsger Eriksen"')


async def test_the_headers_are_sent(open_tab: OpenTab, serve: Serve) -> None:
    """Where a credential is needed, it goes into the headers editor, and is not kept."""
    keys = [{"name": "planted", "sha256": sha256(KEY.encode()).hexdigest(), "scopes": list(Scope)}]
    tab = await open_tab(await serve(api_keys=keys), expected="401")
    await opened(tab)
    await run(tab)
    await expect(response(tab)).to_contain_text("UNAUTHENTICATED")
    await write(tab, f'{{"Authorization": "Bearer {KEY}"}}', '[aria-label="Headers"] .graphiql-editor:not(.hidden)')
    await run(tab)
    await expect(response(tab)).to_contain_text('"Edsger Eriksen"')
    kept = await tab.page.evaluate("JSON.stringify(localStorage) + JSON.stringify(sessionStorage)")
    assert KEY not in kept


async def test_the_explorer_and_the_history(open_tab: OpenTab) -> None:
    """The explorer knows the schema, and the history what was run."""
    tab = await open_tab()
    await opened(tab)
    await run(tab)
    await expect(response(tab)).to_contain_text('"Edsger Eriksen"')
    await tab.by("button", "Show GraphiQL Explorer").click()
    await expect(tab.page.locator(".graphiql-explorer-root")).to_contain_text("departments")
    await tab.screenshot("graphiql-explorer")
    await tab.by("button", re.compile("History")).click()
    await expect(tab.page.locator(".graphiql-history-items")).to_contain_text(QUERY)
