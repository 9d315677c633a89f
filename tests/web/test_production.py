"""What is shown to whom, once the gateway is not on loopback any more."""

from typing import Any

import pytest

from peoplegraph.access.api_keys import new_key
from peoplegraph.sandbox import Blocks
from peoplegraph.scopes import DATA, Scope
from peoplegraph.settings import Settings, SettingsError
from tests.conftest import MakeGateway
from tests.gateway import Gateway, settings_for

HOST = {"host": "0.0.0.0", "allowed_hosts": ["localhost"]}  # noqa: S104  # what is refused without more
SCHEMA_QUERIES = [
    "{ __schema { queryType { name } } }",
    '{ __type(name: "Rep") { fields { name } } }',
    "query { ...F } fragment F on Query { __schema { types { name } } }",
    '{ ... { ... on Query { x: __type(name: "Rep") { name } } } }',
    '{ representative(reference: "REP-001") { name } __schema { directives { name } } }',
]


async def on_a_network(make: MakeGateway, *scopes: Scope, **settings: Any) -> tuple[Gateway, dict[str, str]]:
    """Run a gateway that is not on loopback; return it with the header of somebody who has these scopes."""
    key, sha = new_key()
    gateway = await make(api_keys=[{"name": "x", "sha256": sha, "scopes": list(scopes)}], **HOST, **settings)
    return gateway, {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize("query", SCHEMA_QUERIES)
async def test_the_schema_is_not_for_everybody(gateway_with: MakeGateway, query: str) -> None:
    """Off loopback introspection needs its scope, by whatever way it is asked for; on loopback it does not."""
    gateway, headers = await on_a_network(gateway_with, *DATA)
    reply = await gateway.ask(query, headers)
    assert reply.data is None
    assert [error["extensions"]["code"] for error in reply.errors] == ["INTROSPECTION_DISABLED"]
    assert gateway.calls == []
    assert (await gateway.ask("{ __typename }", headers)).data == {"__typename": "Query"}
    gateway, headers = await on_a_network(gateway_with, *DATA, Scope.INTROSPECTION)
    assert (await gateway.ask(query, headers)).errors == []
    gateway, headers = await on_a_network(gateway_with, *DATA, introspection=True)
    assert (await gateway.ask(query, headers)).errors == []
    assert (await (await gateway_with()).ask(query)).errors == []
    refused = await (await gateway_with(introspection=False)).ask(query)
    assert refused.errors[0]["extensions"]["code"] == "INTROSPECTION_DISABLED"


GUESSES = [
    "{ representativ }",
    '{ representative(referenc: "x") { name } }',
    '{ representative(reference: "x") { nam } }',
    '{ representative(reference: "x") { ... on Representativ { name } } }',
    "query ($x: Strin!) { __typename }",
    "{ __typename @skip(iff: true) }",
    "mutation { createRep(input: { agencyI: 1 }) { errors { message } } }",
    "mutation { updateRep(repId: 1, input: { relationship: EMPLOYE }) { errors { message } } }",
    "{ rep(by: { repI: 1 }) { name } }",
]


@pytest.mark.parametrize("query", GUESSES)
async def test_nobody_is_told_what_may_have_been_meant(gateway_with: MakeGateway, query: str) -> None:
    """Suggestions follow introspection: a guess leads whoever may not read the schema no further."""
    gateway, headers = await on_a_network(gateway_with, *DATA)
    hidden = await gateway.ask(query, headers)
    assert hidden.errors
    assert "Did you mean" not in hidden.response.text
    told = await (await gateway_with()).ask(query)
    assert "Did you mean" in told.response.text
    assert all(error["message"].strip() for error in hidden.errors)


async def test_suggestions_for_variables(gateway_with: MakeGateway) -> None:
    """The same holds for what is wrong with variables."""
    query = "mutation ($i: RepInput!) { updateRep(repId: 1, input: $i) { errors { message } } }"
    gateway, headers = await on_a_network(gateway_with, *DATA)
    for wrong in ({"relationship": "EMPLOYE"}, {"enable": True}):
        hidden = await gateway.ask(query, headers, i=wrong)
        assert hidden.errors
        assert "Did you mean" not in hidden.response.text
        assert "Did you mean" in (await (await gateway_with()).ask(query, i=wrong)).response.text


async def test_graphiql_is_not_for_everybody(gateway_with: MakeGateway) -> None:
    """Off loopback a browser gets no page, unless the settings say so; it needs no credential to see it then."""
    html = {"accept": "text/html"}
    gateway, _ = await on_a_network(gateway_with)
    assert (await gateway.get(headers=html)).status_code in (401, 406)
    gateway, _ = await on_a_network(gateway_with, graphiql=True)
    assert "graphiql" in (await gateway.get(headers=html)).text
    gateway = await gateway_with(graphiql=False)
    reply = await gateway.get(headers=html)
    assert reply.status_code == 406
    assert "graphiql" not in reply.text


async def test_the_dashboard_is_not_for_everybody(gateway_with: MakeGateway) -> None:
    """Off loopback there is none, nor any assets, unless the settings say so."""
    gateway, _ = await on_a_network(gateway_with)
    assert (await gateway.page("/dashboard")).status_code == 404
    assert (await gateway.page("/assets/x")).reason_phrase == "Not Found"
    gateway, _ = await on_a_network(gateway_with, dashboard=True)
    assert "Dashboard" in (await gateway.page("/dashboard")).text
    gateway = await gateway_with(dashboard=False)
    assert (await gateway.page("/dashboard")).status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])  # noqa: S104
def test_nobody_opens_a_network_by_mistake(blocks: Blocks, host: str) -> None:
    """Off loopback the start is refused without authentication, unless told twice; and without its names."""
    known = {"api_keys": [{"name": "x", "sha256": "0" * 64, "scopes": []}]}
    named = {"allowed_hosts": ["gateway.example"]}
    for wrong in (
        {},
        {"open": True},
        {"open_to_network": True},
        {"open": True, **known},
        {"open_to_network": True},
    ):
        with pytest.raises(
            SettingsError, match=r"^PEOPLEGRAPH_HOST: .* is not loopback, and everybody would be let in"
        ):
            settings_for(blocks, host=host, **named, **wrong)
    with pytest.raises(SettingsError, match=r"^PEOPLEGRAPH_ALLOWED_HOSTS: is needed"):
        settings_for(blocks, host=host, **known)
    assert settings_for(blocks, host=host, **named, **known).is_open is False
    assert settings_for(blocks, host=host, **named, open=True, open_to_network=True).is_open is True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_is_open(blocks: Blocks, host: str) -> None:
    """On this machine nobody needs a credential, until there is one to have."""
    settings: Settings = settings_for(blocks, host=host)
    assert settings.is_open
    assert settings.introspects
    assert settings.has_graphiql
    assert not settings_for(blocks, host=host, api_keys=[{"name": "x", "sha256": "0" * 64, "scopes": []}]).is_open
