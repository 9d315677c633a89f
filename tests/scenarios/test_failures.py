"""What callers see when an upstream is down, slow, lying, or answers with garbage."""

import asyncio
import gzip
import socket
from typing import Any

import pytest

from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.scripted import Script, http, scripted

EVERYTHING = """{
  representative(reference: "REP-021") { name }
  assignee(by: { assigneeId: "asg-0001" }) { email }
  departments { code }
  rep(by: { repId: 1001 }) { name }
}"""
FIELDS = {
    "collections": ["representative"],
    "disputes": ["assignee", "departments"],
    "rpm": ["rep"],
}
READS = {
    "collections": '{ result: representative(reference: "A") { name } }',
    "disputes": '{ result: assignee(by: { assigneeId: "A" }) { email } }',
    "rpm": "{ result: rep(by: { repId: 7 }) { name } }",
}
WRITES = {
    "collections": """mutation { result: updateRepresentative(reference: "A", input: {}) {
      created errors { message } } }""",
    "disputes": """mutation { result: deleteAssignee(by: { assigneeId: "A" }) { deleted errors { message } } }""",
    "rpm": """mutation { result: createRep(
      input: { agencyId: 1, username: "u", firstName: "f", lastName: "l" }) { errors { message } } }""",
}
SYSTEMS = list(READS)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("system", SYSTEMS)
async def test_one_system_down_costs_only_its_own_fields(gateway_with: MakeGateway, system: str) -> None:
    """With a system that refuses connections its fields are null with a code, the rest is there."""
    gateway = await gateway_with(**{system: {"url": f"http://127.0.0.1:{free_port()}"}})
    reply = await gateway.ask(EVERYTHING)
    assert {name for name, value in reply.data.items() if value is None} == set(FIELDS[system])
    assert reply.codes == dict.fromkeys(FIELDS[system], "UPSTREAM_UNAVAILABLE")
    assert all(e["extensions"]["system"] == system.upper() for e in reply.errors)
    assert all(e["extensions"]["retryable"] is True for e in reply.errors)


async def test_a_join_over_a_system_that_is_down_keeps_its_own_side(gateway_with: MakeGateway) -> None:
    """With Disputes down a representative is there, and its assignee is null with the error at its path."""
    gateway = await gateway_with(disputes={"url": f"http://127.0.0.1:{free_port()}"})
    reply = await gateway.ask(
        """{ representatives(references: ["REP-021", "REP-022"]) {
          reference assignee { email } counterparts { id } } }"""
    )
    assert reply.data == {
        "representatives": [
            {"reference": "REP-021", "assignee": None, "counterparts": None},
            {"reference": "REP-022", "assignee": None, "counterparts": None},
        ]
    }
    assert set(reply.codes) == {
        f"representatives.{i}.{field}" for i in (0, 1) for field in ("assignee", "counterparts")
    }


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_system_without_a_url_is_left_out(gateway_with: MakeGateway, system: str) -> None:
    """Its fields, mutations too, are null with UPSTREAM_NOT_CONFIGURED; the rest is answered."""
    gateway = await gateway_with(**{system: {"url": ""}})
    reply = await gateway.ask(EVERYTHING)
    assert reply.codes == dict.fromkeys(FIELDS[system], "UPSTREAM_NOT_CONFIGURED")
    assert sum(value is not None for value in reply.data.values()) == 4 - len(FIELDS[system])
    reply = await gateway.ask(WRITES[system])
    assert reply.data == {"result": None}
    assert reply.codes == {"result": "UPSTREAM_NOT_CONFIGURED"}
    assert reply.errors[0]["extensions"]["retryable"] is False


async def test_the_start_says_what_is_left_out(
    gateway_with: MakeGateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system without a URL, and a variable that is no setting, are said at the start."""
    monkeypatch.setenv("PEOPLEGRAPH_RPM_ULR", "")
    with caplog.at_level("INFO"):
        await gateway_with(rpm={"url": ""})
    said = [record.getMessage() for record in caplog.records if record.name == "peoplegraph.app"]
    assert "RPM has no URL and is left out: its fields answer null" in said
    assert "PEOPLEGRAPH_RPM_ULR is no setting; is it PEOPLEGRAPH_RPM_URL?" in said
    assert [line.split(":")[0] for line in said[:2]] == ["Billtrust Collections", "Billtrust Disputes"]


@pytest.mark.parametrize(
    ("system", "field"),
    [
        ("collections", 'representatives(references: ["A", "B"]) { name }'),
        ("rpm", "reps(repIds: [1, 2]) { name }"),
        ("rpm", "reps(repIds: [1, 2]) { title }"),
    ],
)
async def test_a_system_that_is_left_out_costs_each_item_of_a_list(
    gateway_with: MakeGateway, system: str, field: str
) -> None:
    """Lists that may not be null have an error for each item, and their siblings are answered."""
    gateway = await gateway_with(**{system: {"url": ""}})
    reply = await gateway.ask(f"{{ result: {field} departments {{ code }} }}")
    assert reply.data["result"] == [None, None]
    assert len(reply.data["departments"]) == 8
    assert reply.codes == dict.fromkeys(("result.0", "result.1"), "UPSTREAM_NOT_CONFIGURED")


async def test_counterparts_are_looked_up_in_configured_systems_only(gateway_with: MakeGateway) -> None:
    """Without Disputes nobody can be looked up: no counterparts, and no error."""
    gateway = await gateway_with(disputes={"url": ""})
    data = await gateway.data('{ representative(reference: "REP-021") { counterparts { id } } }')
    assert data == {"representative": {"counterparts": []}}


async def ask_scripted(
    gateway_with: MakeGateway, system: str, script: Script, query: str, **settings: Any
) -> tuple[Any, list[str]]:
    """Ask a gateway whose `system` is scripted; return the reply and the requests that were made."""
    async with scripted(script) as upstream:
        gateway: Gateway = await gateway_with(**{system: {"url": upstream.url}}, **settings)
        return await gateway.ask(query), upstream.requests


GARBAGE: dict[str, bytes] = {
    "no JSON": b"<html>hello</html>",
    "half a document": b'{"name": "x',
    "nothing": b"",
    "a number": b"5",
    "null": b"null",
    "a list of nonsense": b"[1, 2]",
    "no UTF-8": b'{"name": "\xff"}',
    "no UTF-8 where nobody looks": b'{"x": "\xff"}',
    "deep nesting": b"[" * 100_000,
    "another shape": b'{"unexpected": true}',
    "wrong types": b'{"name": 5, "assigneeId": 5, "Result": {"RepID": "x"}}',
    "another error": b'{"error": "nope", "Result": {"Nothing": 1}}',
    "too big an id": b'{"name": {}, "assigneeId": [], "Result": {"RepID": 99999999999}}',
    "another record": b"""{"reference": "B", "assigneeId": "B", "active": true, "allUpdates": true,
      "dailyDigest": true, "isDefault": true, "Result": {"RepID": 8}}""",
}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE.keys())
async def test_an_answer_that_cannot_be_understood(gateway_with: MakeGateway, system: str, body: bytes) -> None:
    """Garbage, another shape or another record is UPSTREAM_BAD_RESPONSE: never a crash, never a wrong value."""
    reply, _ = await ask_scripted(gateway_with, system, lambda _: http(200, body), READS[system])
    assert reply.data == {"result": None}
    assert reply.codes == {"result": "UPSTREAM_BAD_RESPONSE"}
    assert reply.errors[0]["extensions"] == {
        "code": "UPSTREAM_BAD_RESPONSE",
        "system": system.upper(),
        "retryable": False,
        "requestId": reply.response.headers["x-request-id"],
    }


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    ("status", "read_code", "write_code"),
    [
        (204, "UPSTREAM_BAD_RESPONSE", None),
        (302, "UPSTREAM_BAD_RESPONSE", "UPSTREAM_BAD_RESPONSE"),
        (401, "UPSTREAM_UNAUTHORIZED", "UPSTREAM_UNAUTHORIZED"),
        (403, "FORBIDDEN", None),
        (404, None, None),
        (409, "UPSTREAM_BAD_RESPONSE", None),
        (400, "UPSTREAM_BAD_RESPONSE", None),
        (422, "UPSTREAM_BAD_RESPONSE", None),
        (418, "UPSTREAM_BAD_RESPONSE", "UPSTREAM_BAD_RESPONSE"),
        (429, "UPSTREAM_RATE_LIMITED", "UPSTREAM_RATE_LIMITED"),
        (500, "UPSTREAM_UNAVAILABLE", "UPSTREAM_OUTCOME_UNKNOWN"),
        (502, "UPSTREAM_UNAVAILABLE", "UPSTREAM_OUTCOME_UNKNOWN"),
        (503, "UPSTREAM_UNAVAILABLE", "UPSTREAM_UNAVAILABLE"),
        (504, "UPSTREAM_UNAVAILABLE", "UPSTREAM_OUTCOME_UNKNOWN"),
    ],
)
async def test_every_status_has_its_code(
    gateway_with: MakeGateway, system: str, status: int, read_code: str | None, write_code: str | None
) -> None:
    """A status is the same error in every system, of a read after retries; of a write refusals are data."""
    answer = http(status, b"" if status == 204 else b"secret", "Location: http://127.0.0.1:1/elsewhere")
    if status == 404 and system == "rpm":  # RPM's unknown reps are messages with 200: a 404 is a wrong URL
        read_code = write_code = "UPSTREAM_BAD_RESPONSE"
    reply, requests = await ask_scripted(gateway_with, system, lambda _: answer, READS[system])
    assert reply.data == {"result": None}
    assert reply.codes == ({"result": read_code} if read_code else {})
    assert len(requests) == (3 if status in (429, 502, 503, 504) else 1)
    reply, requests = await ask_scripted(gateway_with, system, lambda _: answer, WRITES[system])
    if status == 204 and system == "rpm":
        write_code = "UPSTREAM_OUTCOME_UNKNOWN"
    assert reply.codes == ({"result": write_code} if write_code else {})
    assert len(requests) == 1
    assert "secret" not in reply.response.text
    if write_code is None:
        assert len(reply.data["result"]["errors"]) == (status != 204)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "UPSTREAM_UNAVAILABLE"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "UPSTREAM_UNAVAILABLE"),
        (b"nonsense\r\n\r\n", "UPSTREAM_BAD_RESPONSE"),
    ],
    ids=["no", "cut", "no HTTP"],
)
async def test_a_broken_connection(gateway_with: MakeGateway, system: str, answer: bytes, code: str) -> None:
    """No answer, a cut one or one that is no HTTP has its code to a read, and is unknown to a write."""
    async with scripted(lambda _: answer, close_after=True) as upstream:
        gateway = await gateway_with(**{system: {"url": upstream.url}})
        read = await gateway.ask(READS[system])
        write = await gateway.ask(WRITES[system])
    assert read.codes == {"result": code}
    assert write.codes == {"result": "UPSTREAM_OUTCOME_UNKNOWN"}
    assert write.errors[0]["extensions"]["retryable"] is False


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_slow_upstream_ends_at_the_deadline(gateway_with: MakeGateway, system: str) -> None:
    """What is not there by the deadline is UPSTREAM_TIMEOUT for a read, UPSTREAM_OUTCOME_UNKNOWN for a write."""

    async def script(_: str) -> bytes:
        await asyncio.sleep(0.5)
        return http(200)

    loop = asyncio.get_running_loop()
    started = loop.time()
    reply, _ = await ask_scripted(gateway_with, system, script, READS[system], deadline_s=0.1)
    assert reply.codes == {"result": "UPSTREAM_TIMEOUT"}
    reply, _ = await ask_scripted(gateway_with, system, script, WRITES[system], deadline_s=0.1)
    assert reply.codes == {"result": "UPSTREAM_OUTCOME_UNKNOWN"}
    assert loop.time() - started < 5


async def test_a_dripping_upstream_ends_at_the_deadline(gateway_with: MakeGateway) -> None:
    """An upstream that sends a byte now and then does not outlive the deadline."""
    async with scripted(lambda _: http(200, " " * 1000), drip_s=0.02) as upstream:
        gateway = await gateway_with(rpm={"url": upstream.url}, deadline_s=0.2)
        reply = await gateway.ask(READS["rpm"])
    assert reply.codes == {"result": "UPSTREAM_TIMEOUT"}


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_an_enormous_answer_is_not_swallowed(gateway_with: MakeGateway, encoding: str) -> None:
    """An answer of more than 16 MiB, decoded, is UPSTREAM_BAD_RESPONSE."""
    body = b" " * (17 * 1024 * 1024)
    body = gzip.compress(body, 1) if encoding == "gzip" else body
    answer = http(200, body, f"Content-Encoding: {encoding}")
    reply, _ = await ask_scripted(gateway_with, "rpm", lambda _: answer, READS["rpm"])
    assert reply.codes == {"result": "UPSTREAM_BAD_RESPONSE"}


async def test_a_compressed_answer_is_read(gateway_with: MakeGateway) -> None:
    """An upstream may compress though nobody asked it to."""
    answer = http(200, gzip.compress(b'{"name": "Jane"}'), "Content-Encoding: gzip")
    reply, _ = await ask_scripted(gateway_with, "collections", lambda _: answer, READS["collections"])
    assert reply.data == {"result": {"name": "Jane"}}


async def test_two_mutations_in_one_document_keep_their_own_outcomes(gateway_with: MakeGateway) -> None:
    """A mutation that fails is null with its error; the one behind it is still done."""
    gateway = await gateway_with(rpm={"url": f"http://127.0.0.1:{free_port()}"})
    reply = await gateway.ask(
        """mutation {
          one: updateRep(repId: 1001, input: {}) { errors { message } }
          two: deleteAssignee(by: { assigneeId: "asg-0001" }) { deleted }
        }"""
    )
    assert reply.data == {"one": None, "two": {"deleted": True}}
    assert reply.codes == {"one": "UPSTREAM_UNAVAILABLE"}


async def test_a_written_record_that_cannot_be_read_spoils_its_own_field(gateway_with: MakeGateway) -> None:
    """A PATCH that succeeded with garbage is done, and says so; only the record is null with an error."""
    reply, requests = await ask_scripted(
        gateway_with,
        "collections",
        lambda _: http(200, b"[]"),
        'mutation { result: updateRepresentative(reference: "A", input: {}) { created errors { message } '
        "representative { name } } }",
    )
    assert reply.data == {"result": {"created": False, "errors": [], "representative": None}}
    assert reply.codes == {"result.representative": "UPSTREAM_BAD_RESPONSE"}
    assert requests == ["PATCH /representatives/A"]


async def test_writes_that_were_never_sent_are_not_unknown(gateway_with: MakeGateway) -> None:
    """Past the deadline nothing is sent: what was not sent is UPSTREAM_TIMEOUT, what was is unknown."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(0.6)
        return http(200)

    async with scripted(slow) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url}, deadline_s=0.9)
        reply = await gateway.ask(
            """mutation ($n: [String!]!) {
              one: linkRepresentativeAccounts(reference: "R", accountNumbers: $n) { linked errors { code } }
              two: updateRepresentative(reference: "R", input: {}) { created }
            }""",
            n=[f"A{n}" for n in range(19)],
        )
        await asyncio.sleep(0.4)
    codes = [error["code"] for error in reply.data["one"]["errors"]]
    assert len(reply.data["one"]["linked"]) == 10
    assert codes == ["UPSTREAM_OUTCOME_UNKNOWN"] * 9
    assert reply.codes == {"two": "UPSTREAM_TIMEOUT"}
    assert len(upstream.requests) == 19
