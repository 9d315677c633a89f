"""Secrets, planted in every setting, header and answer of an upstream: they come out nowhere."""

import logging
import traceback
from hashlib import sha256
from typing import Any

import pytest
from pydantic import SecretStr

from peoplegraph import create_app
from peoplegraph.access.caller import Caller
from peoplegraph.access.quotas import Quota
from peoplegraph.commands.serve import UVICORN
from peoplegraph.observe.requests import Seen
from peoplegraph.sandbox.serving import serving
from peoplegraph.scopes import DATA
from peoplegraph.settings import Settings, SettingsError, variables
from peoplegraph.web.asking import Asking
from tests.conftest import MakeGateway
from tests.scripted import http, scripted
from tests.test_cli import run

PLANTED = "plantedSecret"
"""What all secrets of these tests begin with, and nothing else does."""

KEYS = {system: f"{PLANTED}Key-{system}" for system in ("collections", "disputes", "rpm")}
CALLERS = {
    "X-API-Key": f"{PLANTED}CallersCollections",
    "X-Billtrust-Api-Key": f"{PLANTED}CallersDisputes",
    "X-Billtrust-Auth": f"{PLANTED}CallersAuth",
    "RpmApiKey": f"{PLANTED}CallersRpm",
    "Cookie": f"session={PLANTED}Cookie",
    "X-Whatever": f"{PLANTED}Whatever",
    "Proxy-Authorization": f"Basic {PLANTED}Proxy",
}
API_KEY = f"{PLANTED}ApiKey"
EVERYTHING = """mutation Write {
  a: updateRepresentative(reference: "R", input: { name: "n" }) { errors { message } representative { name } }
  b: updateAssignee(by: { assigneeId: "A" }, input: { title: "t" }) { errors { message } assignee { id } }
  c: updateRep(repId: 1, input: { title: "t" }) { errors { message } rep { id } }
}
query Read {
  representative(reference: "R") { name customFields assignee { email } }
  assignees { totalCount } departments { code } currentAssignee { email }
  rep(by: { repId: 1 }) { name } nodes(ids: ["x"]) { id } __typename @include(if: true)
}"""
BODY = f"{PLANTED}Body"
ANSWERS = {
    "an error": http(500, BODY, f"X-Secret: {BODY}"),
    "a refusal": http(401, BODY, f"WWW-Authenticate: {BODY}"),
    "a redirect": http(302, BODY, f"Location: https://{BODY}.example/?key={BODY}"),
    "another shape": http(200, f'{{"{BODY}": ["{BODY}"], "Result": {{"{BODY}": "{BODY}"}}}}'),
    "no JSON": http(200, BODY),
    "a cut answer": f"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{BODY}".encode(),
    "no HTTP": BODY.encode(),
}


def settings_with_secrets(url: str, **more: Any) -> dict[str, Any]:
    """Return settings in which everything that is a secret is planted."""
    return {
        **{
            system: {"url": url, "api_key": key, "credential": "caller-or-gateway", "cache_ttl_s": 0}
            | ({"tenant_id": "t"} if system == "disputes" else {})
            for system, key in KEYS.items()
        },
        "api_keys": [{"name": "x", "sha256": sha256(API_KEY.encode()).hexdigest(), "scopes": list(DATA)}],
        **more,
    }


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("forwards", [True, False])
async def test_no_secret_comes_out(
    gateway_with: MakeGateway, caplog: pytest.LogCaptureFixture, answer: bytes, forwards: bool
) -> None:
    """Not in an answer, its headers, a log line of any level, or the repr of anything that the gateway has."""
    caplog.set_level(logging.DEBUG)
    headers = {"authorization": f"Bearer {API_KEY}", **(CALLERS if forwards else {})}
    async with scripted(lambda _: answer, close_after=True) as upstream:
        gateway = await gateway_with(**settings_with_secrets(upstream.url))
        for name in ("Read", "Write"):
            reply = await gateway.post(json={"query": EVERYTHING, "operationName": name}, headers=headers)
            assert reply.status_code == 200
            assert PLANTED not in reply.text + str(reply.headers)
        wrong = await gateway.post(json={"query": "{"}, headers={"authorization": f"Bearer {PLANTED}Wrong"})
        assert PLANTED not in wrong.text + str(wrong.headers)
    sent = "".join(upstream.heads)
    assert (CALLERS["RpmApiKey"] if forwards else KEYS["rpm"]) in sent  # or nothing would be proved
    for nothing in (API_KEY, CALLERS["Cookie"], CALLERS["X-Whatever"], CALLERS["Proxy-Authorization"]):
        assert nothing not in sent
    ours = [record for record in caplog.records if not record.name.startswith(("httpcore", "hpack"))]
    assert PLANTED not in "".join(f"{r.getMessage()} {r.args} {r.exc_info}" for r in ours)
    assert PLANTED not in "".join(
        "".join(traceback.format_exception(*record.exc_info)) for record in ours if record.exc_info
    )


def test_no_secret_in_a_repr() -> None:
    """Every setting that can hold a secret is a SecretStr, and none shows where settings are shown."""
    settings = Settings.load(_env_file=None, **settings_with_secrets("http://127.0.0.1:9"))
    for shown in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert PLANTED not in shown
        assert sha256(API_KEY.encode()).hexdigest() not in shown
    seen = Seen("id", "127.0.0.1", "http")
    asking = Asking({"authorization": f"Bearer {PLANTED}"}, Caller("x", "key", ()), Quota(None, None, 1), seen)
    assert PLANTED not in repr(asking)
    for name, field in variables():
        if name.endswith("_API_KEY"):
            assert "SecretStr" in str(field.annotation), name
    assert isinstance(settings.rpm.api_key, SecretStr)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rpm": {"url": f"https://user:{PLANTED}@rpm.example", "api_key": "k"}},
        {"rpm": {"url": f"https://rpm.example/?key={PLANTED}", "api_key": "k"}},
        {"rpm": {"url": "https://rpm.example", "api_key": f"{PLANTED}\n"}},
        {"rpm": {"url": "https://rpm.example", "api_key": "k", "credential": PLANTED}},
        {"api_keys": [{"name": "x", "sha256": PLANTED, "scopes": []}]},
        {"api_keys": [{"name": "x", "key": PLANTED, "scopes": []}]},
        {"api_keys": PLANTED},
        {"jwt": {"issuer": "x", "audience": "y", "jwks_url": f"https://{PLANTED}@x.example"}},
        {"port": PLANTED},
    ],
)
def test_no_secret_in_a_complaint(wrong: dict[str, Any]) -> None:
    """What is wrong with a setting is said without the setting."""
    with pytest.raises(SettingsError) as error:
        Settings.load(_env_file=None, **wrong)
    assert PLANTED not in "".join(traceback.format_exception(error.value))


async def test_no_secret_on_the_command_line() -> None:
    """Neither `serve` nor `doctor` shows one, whatever is wrong."""
    environment = {
        "PEOPLEGRAPH_RPM_URL": "http://127.0.0.1:9",
        "PEOPLEGRAPH_RPM_API_KEY": f"{PLANTED}Key",
        "PEOPLEGRAPH_API_KEYS": f'[{{"name": "x", "sha256": "{PLANTED}"}}]',
    }
    for command in ("serve", "doctor"):
        code, out, err = await run(command, **environment)
        assert code == 2
        assert "PEOPLEGRAPH_API_KEYS" in err
        assert PLANTED not in out + err
    del environment["PEOPLEGRAPH_API_KEYS"]
    _, out, err = await run("doctor", **environment)
    assert "RPM: FAILED" in out
    assert PLANTED not in out + err


async def test_a_served_gateway_says_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    """Over real HTTP there is no `Server` header, and nothing of a request is logged."""
    import httpx  # noqa: PLC0415

    caplog.set_level(logging.INFO, "uvicorn")
    settings = Settings.load(_env_file=None, **settings_with_secrets("http://127.0.0.1:9"))
    async with (
        serving((create_app(settings),), "127.0.0.1", 0, lifespan="on", **UVICORN) as (server,),
        httpx.AsyncClient() as client,
    ):
        url = f"{server.url}/graphql?query={PLANTED}"
        reply = await client.get(url, headers={"authorization": f"Bearer {PLANTED}", "accept": PLANTED})
    assert "server" not in reply.headers
    assert PLANTED not in reply.text
    assert PLANTED not in "".join(r.getMessage() for r in caplog.records if not r.name.startswith("httpx"))
