"""Whose credential goes where."""

import pytest

from peoplegraph.sandbox import collections, disputes, rpm
from peoplegraph.sandbox.seed import human
from tests.conftest import MakeGateway
from tests.gateway import Gateway

CURRENT = "{ currentAssignee { email } }"
EVERYTHING = """{
  representative(reference: "REP-001") { reference }
  assignee(by: { assigneeId: "asg-0001" }) { assigneeId }
  rep(by: { repId: 1001 }) { repId }
}"""
KEYS = {
    "X-API-Key": collections.KEY,
    "X-Billtrust-Api-Key": disputes.KEY,
    "RpmApiKey": rpm.KEY,
}


async def test_current_assignee_needs_the_callers_own_credential(gateway: Gateway) -> None:
    """Without one, nobody is answered for: an error that names the headers, and no call."""
    reply = await gateway.ask(CURRENT)
    assert reply.data == {"currentAssignee": None}
    assert reply.codes == {"currentAssignee": "UPSTREAM_UNAUTHORIZED"}
    assert "X-Billtrust-Api-Key or X-Billtrust-Auth" in reply.errors[0]["message"]
    assert gateway.calls == []


@pytest.mark.parametrize("current_assignee", ["caller", "key-owner"])
async def test_current_assignee_is_of_the_callers_credential(
    gateway_with: MakeGateway, current_assignee: str
) -> None:
    """With one, its owner is answered, whatever the settings say; other reads still use the gateway's key."""
    gateway = await gateway_with(current_assignee=current_assignee)
    query = '{ currentAssignee { email } assignee(by: { assigneeId: "asg-0001" }) { email } }'
    for headers, owner in (
        ({"X-Billtrust-Auth": disputes.USER_TOKEN}, 3),
        ({"X-Billtrust-Api-Key": disputes.READ_ONLY_KEY}, 2),
    ):
        reply = await gateway.ask(query, headers=headers)
        assert reply.data["currentAssignee"] == {"email": human(owner)[2]}
        by_target = {call.target.rsplit("/", 1)[1]: call.headers for call in gateway.recorded}
        (name, value) = next(iter(headers.items()))
        assert by_target["current-user"][name.lower()] == value
        assert by_target["asg-0001"]["x-billtrust-api-key"] == disputes.KEY
        assert "x-billtrust-auth" not in by_target["asg-0001"]


async def test_current_assignee_of_the_keys_owner(gateway_with: MakeGateway) -> None:
    """With `key-owner` and no credential of the caller's, the owner of the gateway's key is answered."""
    gateway = await gateway_with(current_assignee="key-owner")
    assert await gateway.data(CURRENT) == {"currentAssignee": {"email": human(1)[2]}}


async def test_gateway_mode_never_sends_the_callers(gateway: Gateway) -> None:
    """By default the gateway's keys are sent, though the caller sends its own."""
    reply = await gateway.ask(EVERYTHING, headers=dict.fromkeys(KEYS, "callers-own"))
    assert reply.errors == []
    sent = {value for call in gateway.recorded for value in call.headers.values()}
    assert set(KEYS.values()) <= sent
    assert "callers-own" not in sent


async def test_caller_mode_sends_nothing_but_the_callers(gateway_with: MakeGateway) -> None:
    """With `caller`, the vendor's own header of the request is sent, and without it there is no call."""
    block = {"credential": "caller", "api_key": None}
    gateway = await gateway_with(collections=block, disputes=block, rpm=block)
    reply = await gateway.ask(EVERYTHING)
    assert set(reply.codes.values()) == {"UPSTREAM_UNAUTHORIZED"}
    assert len(reply.errors) == 3
    assert gateway.calls == []
    reply = await gateway.ask(EVERYTHING, headers=KEYS)
    assert reply.errors == []
    reply = await gateway.ask(EVERYTHING, headers={**KEYS, "RpmApiKey": "wrong"})
    assert reply.codes == {"rep": "UPSTREAM_UNAUTHORIZED"}


async def test_caller_or_gateway_falls_back(gateway_with: MakeGateway) -> None:
    """With `caller-or-gateway` the caller's is sent where there is one, else the gateway's."""
    gateway = await gateway_with(disputes={"credential": "caller-or-gateway"})
    query = '{ assignee(by: { assigneeId: "asg-0001" }) { assigneeId } }'
    assert (await gateway.ask(query)).errors == []
    reply = await gateway.ask(query, headers={"X-Billtrust-Api-Key": "wrong"})
    assert reply.codes == {"assignee": "FORBIDDEN"}


async def test_the_vendors_refusal_names_the_permission(gateway_with: MakeGateway) -> None:
    """A 403 to the caller's own credential is FORBIDDEN, of a mutation PermissionDenied, with what is needed."""
    gateway = await gateway_with(disputes={"credential": "caller-or-gateway"})
    wrong = {"X-Billtrust-Api-Key": "wrong"}
    reply = await gateway.ask('{ assignee(by: { assigneeId: "asg-0001" }) { assigneeId } }', headers=wrong)
    assert reply.errors[0]["extensions"]["permission"] == "Dispute Configuration : READ"
    assert gateway.recorded[0].headers["x-billtrust-api-key"] == "wrong"
    reply = await gateway.ask(
        """mutation { deleteAssignee(by: { assigneeId: "asg-0001" }) {
          errors { __typename ... on PermissionDenied { permission } } } }""",
        headers=wrong,
    )
    (error,) = reply.data["deleteAssignee"]["errors"]
    assert error == {"__typename": "PermissionDenied", "permission": "Dispute Configuration : DELETE"}


async def test_a_credential_that_cannot_be_sent(gateway_with: MakeGateway) -> None:
    """A caller's header that is not ASCII is refused, without a call."""
    gateway = await gateway_with(rpm={"credential": "caller-or-gateway"})
    headers = {"X-Billtrust-Api-Key": "cl\u00e9", "RpmApiKey": "\u00e9"}
    body = {"query": "{ currentAssignee { email } rep(by: { repId: 1001 }) { name } }"}
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    reply = (await gateway.post(json=body, headers=encoded)).json()
    assert [e["extensions"]["code"] for e in reply["errors"]] == ["UPSTREAM_UNAUTHORIZED"] * 2
    assert gateway.calls == []


async def test_nothing_else_of_the_caller_is_forwarded(gateway: Gateway) -> None:
    """Cookies, authorization, correlation and other headers of the caller stay at the gateway."""
    await gateway.ask(
        EVERYTHING,
        headers={"Cookie": "a=b", "Authorization": "Bearer x", "X-BT-Corr-Id": "y", "X-Forwarded-For": "z"},
    )
    allowed = {
        "host",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        *(name.lower() for name in KEYS),
    }
    for call in gateway.recorded:
        assert set(call.headers) <= allowed
