"""The dashboard, as people use it who would rather look than type."""

import re
from hashlib import sha256

import httpx
import pytest
from playwright.async_api import Locator, Route, expect

from peoplegraph.sandbox import Sandbox
from peoplegraph.sandbox.faults import parse
from peoplegraph.sandbox.seed import human, reference
from peoplegraph.scopes import DATA, Scope
from tests.browser.conftest import OpenTab, Serve
from tests.browser.tab import Tab

EMAIL = human(21)[2]
"""Of one human in all three systems: REP-021, asg-0021 and 1011."""

KEY = "pgk_a-key-of-a-caller"
PHONE = {"width": 390, "height": 844}
SYSTEMS = ("COLLECTIONS", "DISPUTES", "RPM")


def card(tab: Tab, system: str) -> Locator:
    """Return what a system has of the person."""
    return tab.page.locator(f"#card-{system}")


async def search(tab: Tab, text: str) -> None:
    """Search a person."""
    await tab.open("/dashboard")
    await tab.by("searchbox", re.compile("Email address")).fill(text)
    await tab.page.keyboard.press("Enter")


async def assert_fits(tab: Tab) -> None:
    """Assert that nothing sticks out at the side."""
    width, inner = await tab.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner


async def test_a_person_by_reference(open_tab: OpenTab) -> None:
    """A reference finds the representative and the assignee with the same email address, linked to each other."""
    tab = await open_tab()
    await search(tab, "REP-021")
    await expect(card(tab, "COLLECTIONS")).to_contain_text("Radia Xu")
    await expect(card(tab, "DISPUTES")).to_contain_text("asg-0021")
    await expect(card(tab, "RPM")).to_contain_text("RPM cannot be searched by email address")
    await card(tab, "COLLECTIONS").get_by_role("button", name="Disputes").click()
    await expect(card(tab, "DISPUTES")).to_be_focused()
    await card(tab, "RPM").get_by_label("Rep id").fill("1011")
    await card(tab, "RPM").get_by_role("button", name="Add").click()
    await expect(card(tab, "RPM")).to_contain_text("Agency 12")
    await expect(tab.by("list", "Joined by email address")).to_contain_text(f"{EMAIL} is the same in")
    assert tab.page.url.endswith("#person=REP-021&rep=1011")
    await card(tab, "COLLECTIONS").get_by_role("link", name="Dorothy Conti").click()
    await expect(card(tab, "COLLECTIONS")).to_contain_text("REP-004")


async def test_a_person_by_email(open_tab: OpenTab) -> None:
    """An email address finds the assignee; the other systems cannot be searched by it, and take their own keys."""
    tab = await open_tab()
    await search(tab, EMAIL)
    await expect(card(tab, "DISPUTES")).to_contain_text("asg-0021")
    await card(tab, "COLLECTIONS").get_by_label("Reference").fill("REP-022")
    await tab.page.keyboard.press("Enter")
    await expect(card(tab, "COLLECTIONS")).to_contain_text("Richard Egger")
    await expect(tab.page.locator("main")).to_contain_text("different email addresses")
    await tab.page.go_back()
    await expect(card(tab, "COLLECTIONS")).to_contain_text("cannot be searched by email")


async def test_a_person_by_rep_id(open_tab: OpenTab) -> None:
    """A rep's id finds the rep, and by its email address the assignee."""
    tab = await open_tab()
    await search(tab, "1011")
    await expect(card(tab, "RPM")).to_contain_text("Radia Xu")
    await expect(card(tab, "DISPUTES")).to_contain_text("asg-0021")


async def test_nobody(open_tab: OpenTab) -> None:
    """Who is not there is said not to be there, without an error."""
    tab = await open_tab()
    await search(tab, "REP-999")
    await expect(card(tab, "COLLECTIONS")).to_contain_text("Nobody has the reference REP-999")
    await expect(tab.page.get_by_role("status").last).to_contain_text("Nobody was found")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_deep_link(open_tab: OpenTab, scheme: str) -> None:
    """An address leads to a person, whatever the colours."""
    tab = await open_tab(color_scheme=scheme)
    await tab.open("/dashboard#person=REP-021&rep=1011")
    for system in SYSTEMS:
        await expect(card(tab, system)).to_contain_text("Radia Xu")
    await expect(tab.page).to_have_title("Radia Xu · peoplegraph")
    await tab.screenshot(f"dashboard-person-{scheme}")


async def test_one_system_down(open_tab: OpenTab, sandbox: Sandbox) -> None:
    """It costs its own column, which says so in plain words; the others are as they were."""
    await sandbox.switch([parse("rpm:refuse")])
    tab = await open_tab()
    await tab.open("/dashboard#person=REP-021&rep=1011")
    await expect(card(tab, "RPM")).to_contain_text("RPM cannot be reached, or is failing.")
    await expect(card(tab, "RPM")).to_contain_text("UPSTREAM_UNAVAILABLE")
    await expect(card(tab, "COLLECTIONS")).to_contain_text("Radia Xu")
    await expect(card(tab, "DISPUTES")).to_contain_text("asg-0021")
    await tab.screenshot("dashboard-partial")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_departments(open_tab: OpenTab, scheme: str) -> None:
    """Those without a default are marked, and within each the assignees who are inactive."""
    tab = await open_tab(color_scheme=scheme)
    await tab.open("/dashboard#departments=LEGAL")
    await expect(tab.page.locator("details.department")).to_have_count(8)
    await expect(tab.page.locator("details.wrong")).to_have_count(1)
    legal = tab.page.locator("#department-LEGAL")
    await expect(legal).to_contain_text("No default assignee")
    await expect(legal).to_contain_text("New disputes of this department go to nobody.")
    await expect(legal.locator("tr.inactive")).to_have_count(3)
    await tab.screenshot(f"dashboard-departments-{scheme}")
    await tab.page.get_by_label("Only those").check()
    await expect(tab.page.locator("details.department")).to_have_count(1)


async def test_a_default_who_is_inactive(open_tab: OpenTab, sandbox: Sandbox) -> None:
    """A department whose default is inactive is marked, too."""
    default = next(row for row in sandbox.store.assignees if row["isDefault"])
    sandbox.store.assignees.put(default["assigneeId"], {**default, "active": False})
    tab = await open_tab()
    await tab.open("/dashboard#departments=")
    await expect(tab.page.locator("details.wrong")).to_have_count(2)
    await expect(tab.page.locator("main")).to_contain_text("Default is inactive")


async def test_the_supervisor_tree(open_tab: OpenTab) -> None:
    """Everybody above is there up to the top, once, whoever else is below."""
    tab = await open_tab()
    await tab.open("/dashboard#tree=REP-021,REP-022,REP-100")
    tree = tab.by("list", "Supervisor tree")
    await expect(tree.locator(":scope > li")).to_have_count(1)
    await expect(tree.locator(":scope > li > .node")).to_contain_text("REP-001")
    await expect(tree.locator(".wanted")).to_have_count(3)
    shared = tree.locator("li", has=tab.page.locator(":scope > .node", has_text="REP-004")).last
    await expect(shared.locator("ul .node")).to_have_count(2)
    await tab.screenshot("dashboard-tree")


async def test_a_circle_of_supervisors(open_tab: OpenTab, sandbox: Sandbox) -> None:
    """Who leads each other is shown once."""
    for number, above in ((2, 3), (3, 2)):
        row = sandbox.store.representatives.get(reference(number))
        assert row is not None
        row = {**row, "supervisor_representative_reference": reference(above)}
        sandbox.store.representatives.put(reference(number), row)
    tab = await open_tab()
    await tab.open("/dashboard#tree=REP-002")
    await expect(tab.by("list", "Supervisor tree").locator(".node")).to_have_count(2)


async def test_a_credential(open_tab: OpenTab, serve: Serve) -> None:
    """Where one is needed the page asks for it, says when it is not valid, and forgets it with the tab."""
    keys = [{"name": "planted", "sha256": sha256(KEY.encode()).hexdigest(), "scopes": list(Scope)}]
    tab = await open_tab(await serve(api_keys=keys), expected="401")
    await tab.open("/dashboard#person=REP-021")
    dialog = tab.by("dialog", re.compile("wants a credential"))
    await expect(dialog).to_be_visible()
    await tab.screenshot("dashboard-credential")
    await tab.page.keyboard.type("pgk_wrong")
    await tab.page.keyboard.press("Enter")
    await expect(dialog).to_contain_text("did not accept it")
    await tab.page.keyboard.type(KEY)
    await tab.page.keyboard.press("Enter")
    await expect(card(tab, "COLLECTIONS")).to_contain_text("Radia Xu")
    assert KEY not in await tab.page.evaluate("JSON.stringify(localStorage) + document.cookie")
    await tab.by("button", "Forget credential").click()
    await expect(dialog).to_be_visible()
    assert KEY not in await tab.page.evaluate("JSON.stringify(sessionStorage)")


async def test_a_scope_that_is_missing(open_tab: OpenTab, serve: Serve) -> None:
    """What the caller may not see says which scope it lacks."""
    scopes = frozenset(scope for scope in DATA if scope != "reps:read")
    tab = await open_tab(await serve(open_scopes=scopes))
    await tab.open("/dashboard#person=REP-021&rep=1011")
    await expect(card(tab, "RPM")).to_contain_text("Your credential lacks the scope reps:read")
    await expect(card(tab, "COLLECTIONS")).to_contain_text("Radia Xu")


async def test_by_keyboard_alone(open_tab: OpenTab) -> None:
    """Tab and Enter lead to everything, in an order that makes sense, and what has the focus is seen."""
    tab = await open_tab()
    await tab.open("/dashboard#departments=")
    await expect(tab.page.locator("details.department")).to_have_count(8)
    names = []
    for _ in range(30):
        await tab.page.keyboard.press("Tab")
        focused = tab.page.locator(":focus")
        names.append(await focused.evaluate("e => (e.innerText || e.id).split('\\n')[0]"))
        assert await focused.evaluate("e => getComputedStyle(e).outlineStyle") != "none", names[-1]
        if names[-1].startswith("Billing"):
            break
    order = ["To the content", "peoplegraph", "People", "Departments", "Supervisors", "Systems", "GraphiQL"]
    assert names[: len(order)] == order
    assert "only" in names
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.locator("#department-BILLING")).to_contain_text("Account Manager")
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.press("Enter")
    await expect(card(tab, "DISPUTES")).to_contain_text("asg-")


@pytest.mark.parametrize(
    "place", ["", "#person=REP-021&rep=1011", "#departments=LEGAL", "#tree=REP-021,REP-100", "#systems="]
)
async def test_on_a_phone(open_tab: OpenTab, place: str) -> None:
    """Nothing sticks out at the side, and tables are cards."""
    tab = await open_tab(viewport=PHONE, has_touch=True, is_mobile=True)
    await tab.open(f"/dashboard{place}")
    await expect(tab.page.locator("main .card, main .node").first).to_be_visible()
    await assert_fits(tab)
    if "LEGAL" in place:
        await expect(tab.page.locator("#department-LEGAL tbody tr").first).to_have_css("display", "block")
    name = re.sub(r"\W.*", "", place[1:]) or "people"
    await tab.screenshot(f"dashboard-phone-{name}")


def readings(number: int) -> str:
    """Return metrics as they are some seconds after the last ones: ten calls a reading, RPM failing."""
    lines = []
    for system in SYSTEMS:
        is_rpm = system == "RPM"
        labels = f'system="{system}"'
        calls, failed = 10 * number, number if is_rpm else 0
        lines += [
            f'peoplegraph_upstream_calls_total{{{labels},endpoint="GET /a",outcome="200"}} {calls}',
            f'peoplegraph_upstream_calls_total{{{labels},endpoint="GET /a",outcome="404"}} {number}',
            f'peoplegraph_upstream_calls_total{{{labels},endpoint="GET /a",outcome="UPSTREAM_TIMEOUT"}} {failed}',
            f'peoplegraph_upstream_call_duration_seconds_bucket{{{labels},le="0.05"}} {calls}',
            f'peoplegraph_upstream_call_duration_seconds_bucket{{{labels},le="+Inf"}} {calls}',
            f"peoplegraph_upstream_call_duration_seconds_sum{{{labels}}} {0.02 * calls}",
            f"peoplegraph_upstream_call_duration_seconds_count{{{labels}}} {calls}",
            f"peoplegraph_breaker_state{{{labels}}} {2 if is_rpm else 0}",
            f'peoplegraph_cache_reads_total{{{labels},result="hit"}} {3 * number}',
            f'peoplegraph_cache_reads_total{{{labels},result="miss"}} {number}',
            f"peoplegraph_upstream_slots_in_use{{{labels}}} 1",
            f"peoplegraph_upstream_calls_waiting{{{labels}}} 0",
            f"peoplegraph_upstream_retries_total{{{labels}}} 0",
        ]
    return "\n".join(lines)


async def test_rates_are_what_happened_between_two_readings(open_tab: OpenTab) -> None:
    """From counters come calls a minute, latency, and the shares of errors and of cache hits."""
    tab = await open_tab()
    asked = 0

    async def fulfill(route: Route) -> None:
        nonlocal asked
        asked += 1
        await route.fulfill(body=readings(asked), content_type="text/plain; version=0.0.4")

    await tab.page.route(lambda url: url.endswith("/metrics"), fulfill)
    await tab.open("/dashboard#systems=")
    rpm = tab.page.locator(".live[data-system=RPM]")
    disputes = tab.page.locator(".live[data-system=DISPUTES]")
    await expect(rpm).to_contain_text("Breaker open")
    await expect(disputes).to_contain_text("Breaker closed")
    await expect(tab.page.locator("#strip")).to_contain_text("RPMFailing")
    await expect(disputes).to_contain_text("Latency, mean20 ms", timeout=15_000)
    await expect(disputes).to_contain_text("Errors0 %")
    await expect(disputes).to_contain_text("Cache hits75 %")
    await expect(rpm).to_contain_text("Errors8.3 %")
    text = await disputes.locator("dd").first.inner_text()
    assert 180 < int(text) <= 220  # 11 each three seconds
    await expect(disputes.locator("svg").first).to_be_visible(timeout=15_000)
    await tab.screenshot("dashboard-systems-rates")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_state_of_the_systems_is_live(
    open_tab: OpenTab, serve: Serve, sandbox: Sandbox, scheme: str
) -> None:
    """What happens to the systems is seen within seconds, on every view."""
    tab = await open_tab(await serve(), color_scheme=scheme)
    await tab.open("/dashboard#systems=")
    rpm, collections = (tab.page.locator(f".live[data-system={name}]") for name in ("RPM", "COLLECTIONS"))
    await expect(rpm).to_contain_text("Breaker closed")
    await sandbox.switch([parse("rpm:error,status=500")])
    ids = range(1001, 1021)
    query = " ".join(f"r{each}: rep(by: {{repId: {each}}}) {{ email }}" for each in ids)
    people = " ".join(f'p{each}: representative(reference: "REP-0{each}") {{ email }}' for each in range(10, 30))
    async with httpx.AsyncClient() as client:
        await client.post(f"{tab.url}/graphql", json={"query": f"{{ {query} {people} }}"}, timeout=30)
    await expect(rpm).to_contain_text("Breaker open", timeout=15_000)
    await expect(rpm.locator("dd.bad")).to_contain_text("%")
    await expect(collections.locator("dd").first).to_contain_text(re.compile("[1-9]"))
    await expect(collections).to_contain_text("Errors0 %")
    await tab.screenshot(f"dashboard-systems-{scheme}")
    await tab.by("navigation", "Views").get_by_role("link", name="People").click()
    await expect(tab.page.locator("#strip")).to_contain_text("RPMFailing")


async def test_who_may_not_see_the_metrics(open_tab: OpenTab, serve: Serve) -> None:
    """The view of the systems says which scope it takes, once, and everything else works."""
    tab = await open_tab(await serve(metrics={"open": False}), expected="403")
    await tab.open("/dashboard#systems=")
    await expect(tab.page.get_by_role("alert")).to_contain_text("lacks the scope metrics")
    await tab.open("/dashboard#person=REP-021")
    await expect(card(tab, "COLLECTIONS")).to_contain_text("Radia Xu")
    assert len(tab.errors) == 1
