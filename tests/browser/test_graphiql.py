"""GraphiQL, as people use it."""

import re
from hashlib import sha256
from typing import Any

import pytest
from playwright.async_api import Locator, Route, expect

from peoplegraph.sandbox import Sandbox
from peoplegraph.scopes import Scope
from tests.browser.conftest import OpenTab, Serve
from tests.browser.tab import Tab
from tests.test_docs import EXAMPLES

QUERY, CONNECTION, ERROR, MUTATION = "RepresentativeAndRep", "Representative", "RepsAndNode", "UpdateAssigneeAnd"
KEY = "pgk_a-key-of-a-caller"

EXPLAINED: dict[str, Any] = {
    "operation": {"name": QUERY, "type": "query", "hash": "0f3a9c", "compiled": True, "declined": None},
    "durationMs": 41.2,
    "atWorst": {
        "calls": 6,
        "fields": [
            {
                "path": ["representative"],
                "field": "Query.representative",
                "dependsOn": [],
                "calls": [
                    {
                        "system": "COLLECTIONS",
                        "method": "GET",
                        "path": "/representatives/{reference}",
                        "atWorst": 1,
                        "how": "one for each distinct reference",
                        "keptS": 2.0,
                    }
                ],
            },
            {
                "path": ["representative", "assignee"],
                "field": "Representative.assignee",
                "dependsOn": ["representative"],
                "calls": [
                    {
                        "system": "DISPUTES",
                        "method": "GET",
                        "path": "/assignees/by-email/{assigneeEmail}",
                        "atWorst": 4,
                        "how": "one for each distinct email address",
                        "keptS": 2.0,
                    }
                ],
            },
        ],
    },
    "calls": [
        {
            "system": system,
            "method": method,
            "path": path,
            "source": source,
            "attempt": attempt,
            "status": status,
            "code": code,
            "startMs": start_ms,
            "durationMs": duration_ms,
            "bytes": size,
        }
        for system, method, path, source, attempt, status, code, start_ms, duration_ms, size in (
            ("COLLECTIONS", "GET", "/representatives/{reference}", "upstream", 1, 200, None, 0.4, 21.3, 812),
            ("RPM", "POST", "/Rep", "upstream", 1, None, "UPSTREAM_TIMEOUT", 0.6, 12.0, None),
            ("RPM", "POST", "/Rep", "upstream", 2, 200, None, 14.2, 9.7, 1930),
            ("DISPUTES", "GET", "/departments", "cache", 1, 200, None, 22.0, 0.0, 640),
            ("DISPUTES", "GET", "/assignees/by-email/{assigneeEmail}", "shared", 1, 200, None, 22.1, 18.4, 900),
        )
    ],
}


async def explaining(tab: Tab, told: dict[str, Any]) -> None:
    """Let the gateway tell of its runs, where it is asked to."""

    async def fulfill(route: Route) -> None:
        asked = route.request.post_data_json
        if asked is None:  # the page
            await route.fallback()
            return
        reply = await route.fetch()
        body = await reply.json()
        if asked.get("extensions", {}).get("explain"):
            body["extensions"] = {**body.get("extensions", {}), "explain": told}
        await route.fulfill(response=reply, json=body)

    await tab.page.route(lambda url: url.endswith("/graphql"), fulfill)


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
async def test_the_waterfall(open_tab: OpenTab, scheme: str) -> None:
    """The panel has a bar for each call, where it came from and how it ended; the response has none of it."""
    tab = await open_tab(color_scheme=scheme)
    await explaining(tab, EXPLAINED)
    await opened(tab)
    await tab.by("button", re.compile("Explain")).click()
    panel = tab.by("region", "Explain")
    await expect(panel).to_contain_text("Run an operation")
    await run(tab)
    await expect(panel).to_contain_text("5 calls, 1 from cache, 41 ms; at worst 6")
    rows = panel.locator(".explain-calls > li")
    await expect(rows).to_have_count(5)
    await expect(rows.nth(1)).to_contain_text("UPSTREAM_TIMEOUT")
    await expect(rows.nth(2)).to_contain_text("attempt 2")
    await expect(rows.nth(3)).to_contain_text("from the cache")
    await expect(rows.nth(4)).to_contain_text("shared with another request")
    first, last = [await rows.nth(number).locator(".explain-bar").bounding_box() for number in (0, 4)]
    assert first is not None
    assert last is not None
    assert first["x"] < last["x"]
    await expect(panel.locator(".explain-tree ul li")).to_contain_text("GET /assignees/by-email/{assigneeEmail}")
    await expect(response(tab)).to_contain_text('"Edsger Eriksen"')
    await expect(response(tab)).not_to_contain_text("explain")
    await tab.screenshot(f"graphiql-explain-{scheme}")


async def test_who_may_not_have_an_explanation(open_tab: OpenTab) -> None:
    """The panel says why there is none, and the answer is there as usual."""
    tab = await open_tab()
    await explaining(tab, {"code": "FORBIDDEN", "message": "This needs the scope explain"})
    await opened(tab)
    await tab.by("button", re.compile("Explain")).click()
    await run(tab)
    await expect(tab.by("region", "Explain")).to_contain_text("FORBIDDEN This needs the scope explain")
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
