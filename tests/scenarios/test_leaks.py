"""Nothing leaks: keys, upstreams' bodies and identifiers are planted, and looked for in logs and answers."""

import asyncio
import gc
import logging

import pytest

from peoplegraph.backends.batching import Each
from peoplegraph.errors import UpstreamError
from peoplegraph.flight import Flight
from peoplegraph.sandbox.faults import parse
from peoplegraph.upstream.trail import Step
from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.scripted import http, scripted

KEY, CALLERS, BODY, ID, VALUE = "planted-key", "planted-callers", "planted-body", "planted-id", "planted-value"
READS = {
    "collections": f'{{ representative(reference: "{ID}") {{ name }} }}',
    "disputes": f'{{ assignee(by: {{ email: "{ID}@x.example" }}) {{ id }} }}',
    "rpm": f'{{ rep(by: {{ agencyAndName: {{ agencyId: 1, name: "{ID}" }} }}) {{ repId }} }}',
}
WRITES = {
    "collections": f"""mutation {{ updateRepresentative(reference: "{ID}", input: {{ name: "{VALUE}" }}) {{
      errors {{ message }} }} }}""",
    "disputes": f"""mutation {{ deleteAssignee(by: {{ assigneeId: "{ID}" }}) {{ errors {{ message }} }} }}""",
    "rpm": f"""mutation {{ createRep(input: {{
      agencyId: 1, username: "{VALUE}", firstName: "{VALUE}", lastName: "l" }}) {{ errors {{ message }} }} }}""",
}
HEADERS = {"collections": "X-API-Key", "disputes": "X-Billtrust-Api-Key", "rpm": "RpmApiKey"}
ANSWERS = {
    **{str(status): http(status, BODY) for status in (400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503, 504)},
    "redirect": http(302, "", f"Location: https://{BODY}.example/{KEY}"),
    "no JSON": http(200, f"<html>{BODY}"),
    "another shape": http(200, f'[{{"{BODY}": "{BODY}"}}]'),
    "wrong types": http(
        200, f'{{"name": ["{BODY}"], "reference": "{BODY}", "assigneeId": "{BODY}", "Result": "{BODY}"}}'
    ),
    "an unknown error": http(200, f'{{"Result": {{"Fault": "{BODY}"}}}}'),
    "no HTTP": f"{BODY}\r\n\r\n".encode(),
    "a lying header": http(200, BODY, f"Content-Encoding: {BODY}"),
    "cut": f"HTTP/1.1 200 {BODY}\r\nContent-Length: 999\r\n\r\n{BODY}".encode(),
    "nothing": b"",
    "slow": b"slow",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("system", READS)
@pytest.mark.parametrize("credential", ["gateway", "caller"])
async def test_nothing_leaks(
    gateway_with: MakeGateway, caplog: pytest.LogCaptureFixture, system: str, answer: bytes, credential: str
) -> None:
    """Whatever an upstream does, its words, the keys and the identifiers are in no log line and in no answer."""

    async def script(_: str) -> bytes:
        if answer == b"slow":
            await asyncio.sleep(0.4)
            return http(200, BODY)
        return answer

    caplog.set_level(logging.INFO)
    async with scripted(script, close_after=True) as upstream:
        gateway = await gateway_with(
            **{system: {"url": upstream.url, "api_key": KEY, "credential": credential}}, deadline_s=0.3
        )
        for document in (READS[system], WRITES[system]):
            reply = await gateway.ask(document, headers={HEADERS[system]: CALLERS})
            assert "planted" not in reply.response.text
            assert upstream.url.removeprefix("http://") not in reply.response.text
            await asyncio.sleep(0.01)  # for the upstream to close the connection
    assert len(upstream.requests) >= 2
    await asyncio.sleep(0.2 if answer == b"slow" else 0)
    audit = "".join(record.getMessage() for record in caplog.records if record.name == "peoplegraph.audit")
    assert "planted" not in audit.replace(ID, "")  # which record was written to, and nothing else of it
    others = caplog.text.replace(audit, "")
    assert "planted" not in others
    assert upstream.requests[0] not in others


FEW = '{ representatives(references: ["REP-021", "REP-022"]) { assignee { email } } }'
MANY = """{ rep(by: { repId: 1001 }) { title } assignees(first: 2) { nodes { title } }
  representatives(references: ["REP-001", "REP-002", "REP-003", "REP-004", "REP-005", "REP-006"]) {
    supervisor { name } assignee { email } } }"""


def held() -> list[object]:
    """Return what a request has, of all that there is."""
    return [each for each in gc.get_objects() if isinstance(each, Step | Flight | Each | UpstreamError)]


async def left_by(gateway: Gateway, query: str) -> list[object]:
    """Return what only the garbage collector would find once a request was answered."""
    gc.collect()
    gc.disable()
    before = held()  # other tests have errors of their own
    try:
        await gateway.ask(query)
        await asyncio.sleep(0)  # the loop holds what it is doing
        return [each for each in held() if all(each is not other for other in before)]
    finally:
        gc.enable()


@pytest.mark.parametrize("failing", [["disputes"], [*READS]], ids=["one", "all"])
@pytest.mark.parametrize("kind", [None, "refuse", "error", "reset", "garbage"])
async def test_what_a_request_had_goes_with_it(
    gateway: Gateway, kind: str | None, failing: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Calls and what came of them, errors and loaders hold each other: none waits for the garbage collector."""
    caplog.set_level(logging.CRITICAL)  # whoever keeps what is logged keeps errors
    await gateway.ask(MANY)
    await gateway.sandbox.switch([parse(f"{system}:{kind}") for system in failing if kind])
    for _ in range(12):  # systems are called at first, and then no more
        assert await left_by(gateway, MANY) + await left_by(gateway, FEW) == []
    assert bool((await gateway.ask(MANY)).errors) == bool(kind)


async def test_an_error_that_nobody_is_told_goes_with_its_request(
    gateway_with: MakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """So it is where a kept answer stands in for it."""
    caplog.set_level(logging.CRITICAL)
    gateway = await gateway_with(stale_if_error_s=60, **{system: {"cache_ttl_s": 0.01} for system in READS})
    await gateway.data(MANY)
    await gateway.sandbox.switch([parse(f"{system}:reset") for system in READS])
    for _ in range(3):
        await asyncio.sleep(0.02)
        assert await left_by(gateway, MANY) == []
    assert (await gateway.data(MANY))["rep"] is not None
