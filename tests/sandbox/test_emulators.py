"""The emulated systems, asked directly: they enforce what the vendors' pages say."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from peoplegraph.sandbox import Blocks, Sandbox, collections, disputes, rpm
from peoplegraph.sandbox.seed import human


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001  # fresh for each test
    """Return a plain HTTP client."""
    async with httpx.AsyncClient() as client:
        yield client


def test_the_seed_is_large_shared_and_the_same_every_time(sandbox: Sandbox) -> None:
    """220 representatives in a tree, 250 assignees in 8 departments, 120 reps in 12 agencies, shared emails."""
    store = sandbox.store
    representatives, assignees, reps = list(store.representatives), list(store.assignees), list(store.reps)
    assert len(representatives) >= 200
    assert len(assignees) == 250
    assert len({a["departmentId"] for a in assignees}) == 8
    assert len(reps) == 120
    assert len({r["AgencyID"] for r in reps}) == 12
    by_reference = {r["reference"]: r for r in representatives}
    roots = [r for r in representatives if r["supervisor_representative_reference"] is None]
    assert len(roots) == 1
    assert all(r["supervisor_representative_reference"] in by_reference for r in representatives if r not in roots)
    emails = [
        {(r["email"] or "").lower() for r in representatives},
        {a["person"]["email"] for a in assignees},
        {r["Contact"]["Email"] for r in reps},
    ]
    assert len(emails[0] & emails[1] & emails[2]) > 50
    again = Sandbox()
    assert list(again.store.assignees) == assignees
    again.close()


async def test_collections_checks_keys(client: httpx.AsyncClient, blocks: Blocks) -> None:
    """A bad key is 403."""
    url = f"{blocks['collections']['url']}/representatives/REP-001"
    assert (await client.get(url)).status_code == 403
    assert (await client.get(url, headers={"X-API-Key": "x"})).status_code == 403
    assert (await client.get(url, headers={"X-API-Key": collections.KEY})).status_code == 200


async def test_collections_statuses(client: httpx.AsyncClient, blocks: Blocks) -> None:
    """POST, PUT, PATCH and the links answer with the statuses of the vendor's page."""
    client.headers["X-API-Key"] = collections.KEY
    url = f"{blocks['collections']['url']}/representatives"
    assert (await client.post(f"{url}/N", json={"name": "x"})).status_code == 201
    assert (await client.post(f"{url}/N", json={"name": "x"})).status_code == 409
    assert (await client.put(f"{url}/N", json={})).status_code == 200
    assert (await client.put(f"{url}/M", json={})).status_code == 201
    assert (await client.patch(f"{url}/X", json={})).status_code == 404
    for bad in ({"language": "eng"}, {"supervisor_representative_reference": "X"}, {"email": "x"}, {"name": 5}):
        assert (await client.patch(f"{url}/N", json=bad)).status_code == 422
    for kind, number in (("accounts", "ACCT-0001"), ("documents", "INV-0001")):
        assert (await client.put(f"{url}/N/{kind}/{number}")).status_code == 200
        assert (await client.put(f"{url}/N/{kind}/{number}")).status_code == 200
        assert (await client.put(f"{url}/N/{kind}/X")).status_code == 404
        assert (await client.put(f"{url}/X/{kind}/{number}")).status_code == 404
        assert (await client.get(f"{url}/X/{kind}")).status_code == 404
        assert (await client.get(f"{url}/N/{kind}?limit=101")).status_code == 422
    record = (await client.get(f"{url}/N")).json()
    assert (record["accounts"], record["documents"]) == (["ACCT-0001"], ["INV-0001"])


async def test_collections_cuts_embedded_lists(client: httpx.AsyncClient, blocks: Blocks) -> None:
    """An embedded list has at most 100 entries, and its page tells the total."""
    client.headers["X-API-Key"] = collections.KEY
    record = (await client.get(f"{blocks['collections']['url']}/representatives/REP-002")).json()
    page = (await client.get(f"{blocks['collections']['url']}/representatives/REP-002/accounts?page=3")).json()
    assert (len(record["accounts"]), len(page["items"]), page["total"]) == (100, 50, 250)


@pytest.fixture
def tenant(client: httpx.AsyncClient, blocks: Blocks) -> str:
    """Return the tenant's URL, with the key in the client."""
    client.headers["X-Billtrust-Api-Key"] = disputes.KEY
    return f"{blocks['disputes']['url']}/tenants/{disputes.TENANT}"


async def test_disputes_checks_keys_tenants_and_permissions(client: httpx.AsyncClient, tenant: str) -> None:
    """A bad key, another tenant or a missing permission is 403."""
    url = f"{tenant}/assignees/asg-0001"
    assert (await client.get(url)).status_code == 200
    assert (await client.get(url, headers={"X-Billtrust-Api-Key": "x"})).status_code == 403
    assert (await client.get(url.replace(disputes.TENANT, "other"))).status_code == 403
    assert (await client.delete(url, headers={"X-Billtrust-Api-Key": disputes.READ_ONLY_KEY})).status_code == 403


async def test_disputes_filters_by_the_vendors_parameter_only(client: httpx.AsyncClient, tenant: str) -> None:
    """`DepartmentId` filters; in another case it is no parameter."""
    assert len((await client.get(f"{tenant}/assignees?DepartmentId=dep-01")).json()) < 250
    assert len((await client.get(f"{tenant}/assignees?departmentId=dep-01")).json()) == 250
    assert (await client.get(f"{tenant}/assignees?DepartmentId=dep")).json() == []
    assert (await client.get(f"{tenant}/departments/code/TAX")).json()["departmentId"] == "dep-06"


async def test_disputes_replaces(client: httpx.AsyncClient, tenant: str) -> None:
    """PUT resets what is left out, refuses the code by id, and takes it by email."""
    email = human(6)[2]
    answer = await client.put(
        f"{tenant}/assignees/asg-0006", json={"departmentId": "dep-07", "person": {"email": email}}
    )
    record = answer.json()
    assert (record["active"], record["allUpdates"], record["dailyDigest"]) == (False, False, False)
    assert record["person"]["firstName"] is None
    body = {"departmentCode": "TAX", "person": {"email": email}}
    assert (await client.put(f"{tenant}/assignees/asg-0006", json=body)).status_code == 400
    answer = await client.put(f"{tenant}/assignees/by-email/{email}", json=body)
    assert answer.json()["departmentId"] == "dep-06"


async def test_disputes_has_one_default_a_department(client: httpx.AsyncClient, tenant: str) -> None:
    """`isDefault` clears it on every other assignee of the department."""
    body = {"departmentId": "dep-02", "isDefault": True, "person": {"email": "new@northwind.example"}}
    created = (await client.post(f"{tenant}/assignees", json=body)).json()
    rows = (await client.get(f"{tenant}/assignees?DepartmentId=dep-02")).json()
    assert [a["id"] for a in rows if a["isDefault"]] == [created["id"]]


@pytest.mark.parametrize(
    "body",
    [
        {"departmentId": "dep-01"},
        {"departmentId": "dep-01", "person": {"email": "nonsense"}},
        {"departmentId": "nope", "person": {"email": "a@b.example"}},
        {"departmentId": "dep-01", "userId": "nobody"},
        {"departmentId": "dep-01", "person": {"email": "a@b.example"}, "active": "yes"},
        [],
    ],
)
async def test_disputes_validates(client: httpx.AsyncClient, tenant: str, body: object) -> None:
    """A write without user and email, with a bad one, or without its department is 422."""
    assert (await client.post(f"{tenant}/assignees", json=body)).status_code == 422


async def rpm_error(
    client: httpx.AsyncClient, blocks: Blocks, endpoint: str, body: object, key: str = rpm.KEY
) -> Any:
    """Return the error with which RPM answers, with HTTP 200."""
    answer = await client.post(f"{blocks['rpm']['url']}/{endpoint}", json=body, headers={"RpmApiKey": key})
    assert answer.status_code == 200
    return answer.json()["Result"].get("Error")


async def test_rpm_says_no_with_200(client: httpx.AsyncClient, blocks: Blocks) -> None:
    """RPM's messages come with HTTP 200, in two shapes."""
    names = {"FirstName": "A", "LastName": "B"}
    phone = {"PhoneNumbers": [{"Type": 4, "Number": "1"}]}
    assert await rpm_error(client, blocks, "Rep", {"RepID": 1001}, key="x") == (
        "Key not found, please check that it is typed correctly"
    )
    for body, message in (
        ({}, 'Call requires parameter: "Rep" which was not found'),
        ({"Rep": {"RepID": 1001}}, 'Call requires parameter: "Contact.FirstName" which was not found'),
        (
            {"Rep": {"RepID": 1001, "Contact": {"FirstName": "A"}}},
            'Call requires parameter: "Contact.LastName" which was not found',
        ),
        ({"Rep": {"RepID": 4, "Contact": names}}, "Rep not found"),
        ({"Rep": {"RepID": 1001, "Contact": names | phone}}, "Unrecognized type for phone number: 4"),
        (
            {"Rep": {"RepID": 1001, "Contact": names | {"Email": "x"}}, "InviteUser": True},
            "Invite requires a valid email address",
        ),
    ):
        assert await rpm_error(client, blocks, "RepEdit", body) == {"Message": message}
    assert await rpm_error(client, blocks, "Rep", {"RepID": 7001}) == "Rep not found"
    answer = await client.get(f"{blocks['rpm']['url']}/Rep")
    assert answer.status_code == 405


async def test_rpm_resets_on_edit(client: httpx.AsyncClient, blocks: Blocks) -> None:
    """An edit that leaves `Enabled`, `CommissionsHidden` and `Relationship` out resets them, and no list."""
    client.headers["RpmApiKey"] = rpm.KEY
    before = (await client.post(f"{blocks['rpm']['url']}/Rep", json={"RepID": 1001})).json()["Result"]
    body = {"Rep": {"RepID": 1001, "Contact": {"FirstName": "A", "LastName": "B"}}}
    after = (await client.post(f"{blocks['rpm']['url']}/RepEdit", json=body)).json()["Result"]
    assert (before["Enabled"], before["Relationship"]) == (True, "Sub-agent")
    assert (after["Enabled"], after["CommissionsHidden"], after["Relationship"]) == (False, False, "Employee")
    assert after["Fields"] == before["Fields"]
    assert "Company" not in after


async def test_every_call_is_recorded(client: httpx.AsyncClient, sandbox: Sandbox, blocks: Blocks) -> None:
    """The ledger has each call with its target as it came and the status that it got."""
    await client.post(f"{blocks['rpm']['url']}/Rep?a=%2F", json={"RepID": 1}, headers={"RpmApiKey": rpm.KEY})
    await client.get(f"{blocks['collections']['url']}/representatives/a%2Fb")
    assert [(str(c), c.body, c.status) for c in sandbox.ledger.calls] == [
        ("POST /Rep?a=%2F", {"RepID": 1}, 200),
        ("GET /representatives/a%2Fb", None, 403),
    ]
    assert len(sandbox.ledger.of("RPM")) == 1


async def test_clients_that_hang_up(sandbox: Sandbox, blocks: Blocks, caplog: pytest.LogCaptureFixture) -> None:
    """A request whose client is gone is received all the same, and is no error of the system's."""
    url = urlsplit(blocks["rpm"]["url"])
    for _ in range(20):
        _, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(f"POST {url.path}/Rep HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        writer.close()
    await asyncio.sleep(0.1)
    assert len(sandbox.ledger.calls) == 20
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
