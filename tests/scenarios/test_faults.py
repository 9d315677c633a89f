"""Each fault of the emulated systems: what the caller sees, how many calls it costs, what is left behind.

A read, and three kinds of write: Collections' PUT, which is safe to repeat, its PATCH, which is not, and RPM's
RepEdit, which is sent behind a read.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from peoplegraph.sandbox import Sandbox
from peoplegraph.sandbox.faults import parse
from tests.conftest import MakeGateway
from tests.gateway import Gateway, Reply

READ = '{ representative(reference: "REP-001") { reference } }'
PUT = """mutation { result: replaceRepresentative(reference: "REP-001", input: { name: "New" }) {
  representative { reference } created errors { message } } }"""
PATCH = """mutation { result: updateRepresentative(reference: "REP-001", input: { name: "New" }) {
  representative { reference } errors { message } } }"""
EDIT = 'mutation { result: updateRep(repId: 1001, input: { title: "New" }) { rep { repId } errors { message } } }'
FOUND = {"representative": {"reference": "REP-001"}}


@dataclass(frozen=True, slots=True)
class Costs:
    """What a fault costs: the code that the caller sees or None, and the calls that it makes."""

    code: str | None
    calls: int


UNAVAILABLE, UNKNOWN, BAD = "UPSTREAM_UNAVAILABLE", "UPSTREAM_OUTCOME_UNKNOWN", "UPSTREAM_BAD_RESPONSE"
LIMITED, TIMEOUT = "UPSTREAM_RATE_LIMITED", "UPSTREAM_TIMEOUT"


async def strike(sandbox: Sandbox, *faults: str) -> None:
    """Switch faults on."""
    await sandbox.switch([parse(fault) for fault in faults])


def name(sandbox: Sandbox) -> Any:
    """Return what the representative that is written to is called now."""
    return (sandbox.store.representatives.get("REP-001") or {})["name"]


def outcome(reply: Reply) -> str | None:
    """Return the code of the only error that there may be."""
    assert len(reply.errors) <= 1
    return next(iter(reply.codes.values()), None)


READS = {
    "collections:latency,ms=30,jitter_ms=30": Costs(None, 1),
    "collections:throttle,after_s=0": Costs(LIMITED, 3),
    "collections:throttle,after_s=60": Costs(LIMITED, 1),
    "collections:error,status=500": Costs(UNAVAILABLE, 1),
    "collections:error,status=502": Costs(UNAVAILABLE, 3),
    "collections:error,status=520": Costs(UNAVAILABLE, 1),
    "collections:error,status=503": Costs(UNAVAILABLE, 3),
    "collections:refuse": Costs(UNAVAILABLE, 0),
    "collections:reset": Costs(UNAVAILABLE, 3),
    "collections:reset,when=after": Costs(UNAVAILABLE, 3),
    "collections:truncate": Costs(UNAVAILABLE, 3),
    "collections:drip,ms=1": Costs(None, 1),
    "collections:content-type": Costs(None, 1),
    "collections:garbage": Costs(BAD, 1),
    "collections:shape": Costs(BAD, 1),
    "collections:huge,mib=17": Costs(BAD, 1),
}


@pytest.mark.parametrize(("fault", "costs"), READS.items(), ids=READS)
async def test_a_fault_of_every_read(gateway: Gateway, sandbox: Sandbox, fault: str, costs: Costs) -> None:
    """What it costs while it lasts; once it is over the same read is answered again."""
    await strike(sandbox, fault)
    reply = await gateway.ask(READ)
    assert (outcome(reply), len(gateway.calls)) == (costs.code, costs.calls)
    assert reply.data == (FOUND if costs.code is None else {"representative": None})
    await strike(sandbox)
    assert await gateway.data(READ) == FOUND


ONCE = {
    "throttle,after_s=0": Costs(None, 2),
    "error,status=500": Costs(UNAVAILABLE, 1),
    "error,status=503": Costs(None, 2),
    "reset": Costs(None, 2),
    "reset,when=after": Costs(None, 2),
    "truncate": Costs(None, 2),
}


@pytest.mark.parametrize(("fault", "costs"), ONCE.items(), ids=ONCE)
async def test_a_fault_of_one_read(gateway: Gateway, sandbox: Sandbox, fault: str, costs: Costs) -> None:
    """A read that fails once costs one call more and nothing else, where it may be repeated."""
    await strike(sandbox, f"collections:{fault},times=1")
    reply = await gateway.ask(READ)
    assert (outcome(reply), len(gateway.calls)) == (costs.code, costs.calls)


PUTS = {
    "throttle,after_s=0": (Costs(None, 2), True),
    "error,status=500": (Costs(UNKNOWN, 1), True),
    "error,status=503": (Costs(None, 2), True),
    "reset": (Costs(None, 2), True),
    "reset,when=after": (Costs(None, 2), True),
}


@pytest.mark.parametrize(("fault", "costs", "written"), [(f, *c) for f, c in PUTS.items()], ids=PUTS)
async def test_a_fault_of_one_write_that_is_safe_to_repeat(
    gateway: Gateway, sandbox: Sandbox, fault: str, costs: Costs, *, written: bool
) -> None:
    """Collections' PUT is repeated, and done once it is answered."""
    await strike(sandbox, f"collections:{fault},call=PUT,times=1")
    reply = await gateway.ask(PUT)
    assert (outcome(reply), len(gateway.writes)) == (costs.code, costs.calls)
    assert (name(sandbox) == "New") is written


WRITES = {
    "latency,ms=30": (Costs(None, 1), True),
    "throttle,after_s=0": (Costs(LIMITED, 1), False),
    "error,status=500": (Costs(UNKNOWN, 1), True),
    "error,status=502": (Costs(UNKNOWN, 1), True),
    "error,status=520": (Costs(UNKNOWN, 1), True),
    "error,status=503": (Costs(UNAVAILABLE, 1), False),
    "reset": (Costs(UNKNOWN, 1), False),
    "reset,when=after": (Costs(UNKNOWN, 1), True),
    "truncate": (Costs(UNKNOWN, 1), True),
    "drip,ms=1": (Costs(None, 1), True),
    "content-type": (Costs(None, 1), True),
    "garbage": (Costs(UNKNOWN, 1), True),
    "shape": (Costs(UNKNOWN, 1), True),
    "huge,mib=17": (Costs(UNKNOWN, 1), True),
}


@pytest.mark.parametrize(("fault", "costs", "written"), [(f, *c) for f, c in WRITES.items()], ids=WRITES)
@pytest.mark.parametrize("system", ["collections", "rpm"])
async def test_a_fault_of_a_write_that_is_not(
    gateway: Gateway, sandbox: Sandbox, system: str, fault: str, costs: Costs, *, written: bool
) -> None:
    """It is sent once; who is told UPSTREAM_OUTCOME_UNKNOWN may find it done or not.

    Collections says by the status that it is done, RPM by the body alone: garbage is another matter there.
    """
    call, mutation = {"collections": ("PATCH", PATCH), "rpm": ("/RepEdit", EDIT)}[system]
    if system == "collections" and fault in {"garbage", "shape"}:
        costs = Costs(BAD, 1)
    await strike(sandbox, f"{system}:{fault},call={call}")
    reply = await gateway.ask(mutation)
    assert (outcome(reply), len(gateway.writes)) == (costs.code, costs.calls)
    assert list(reply.codes) in ([], ["result"], ["result.representative"])
    assert (reply.data["result"] is None) is (costs.code in {UNKNOWN, LIMITED, UNAVAILABLE})
    changed = name(sandbox) == "New" if system == "collections" else title(sandbox) == "New"
    assert changed is written


def title(sandbox: Sandbox) -> Any:
    """Return the title of the rep that is written to."""
    return (sandbox.store.reps.get("1001") or {})["Contact"]["Title"]


async def test_a_write_to_who_refuses_connections(gateway: Gateway, sandbox: Sandbox) -> None:
    """Nobody was reached: UPSTREAM_UNAVAILABLE, and nothing is written, then or later."""
    before = name(sandbox)
    await gateway.data(READ)  # so that there is a connection to lose
    await strike(sandbox, "collections:refuse")
    assert (await gateway.ask(PATCH)).codes == {"result": UNAVAILABLE}
    await strike(sandbox)
    assert name(sandbox) == before
    assert (await gateway.data(PATCH))["result"]["errors"] == []


async def test_latency_beyond_the_deadline(gateway_with: MakeGateway, sandbox: Sandbox) -> None:
    """A read is given up; a write is not known to be done, and is."""
    gateway = await gateway_with(deadline_s=0.2)
    await strike(sandbox, "collections:latency,ms=400")
    assert (await gateway.ask(READ)).codes == {"representative": TIMEOUT}
    assert len(gateway.calls) == 1
    assert (await gateway.ask(PATCH)).codes == {"result": UNKNOWN}
    assert len(gateway.writes) == 1
    assert name(sandbox) == "New"


async def test_dripping_beyond_the_deadline(gateway_with: MakeGateway, sandbox: Sandbox) -> None:
    """Bytes that keep coming do not keep a call alive."""
    gateway = await gateway_with(deadline_s=0.3)
    await strike(sandbox, "collections:drip,ms=20")
    started = time.monotonic()
    assert (await gateway.ask(READ)).codes == {"representative": TIMEOUT}
    assert time.monotonic() - started < 5
    assert len(gateway.calls) == 1


async def test_failing_at_a_rate(gateway: Gateway, sandbox: Sandbox) -> None:
    """Where a tenth of the calls fail, hardly a read does, and hardly a call more is made than asked for."""
    await strike(sandbox, "collections:error,rate=0.1")
    references = [f"REP-{number:03}" for number in range(1, 201)]
    replies = [
        await gateway.ask("query ($r: [String!]!) { representatives(references: $r) { reference } }", r=chunk)
        for chunk in (references[start : start + 20] for start in range(0, 200, 20))
    ]
    answered = [item for reply in replies for item in reply.data["representatives"] if item]
    assert len(answered) >= 185
    assert {code for reply in replies for code in reply.codes.values()} <= {UNAVAILABLE}


async def test_other_systems_are_not_touched(gateway: Gateway, sandbox: Sandbox) -> None:
    """A query over three systems loses what the one that fails has, and nothing else."""
    query = """{ representative(reference: "REP-021") { reference assignee { email } }
      rep(by: { repId: 1001 }) { repId } }"""
    whole = await gateway.data(query)
    for fault in ("refuse", "reset", "garbage", "error,status=500"):
        await strike(sandbox, f"disputes:{fault}")
        reply = await gateway.ask(query)
        assert reply.data == {**whole, "representative": {"reference": "REP-021", "assignee": None}}
        assert list(reply.codes) == ["representative.assignee"]


async def test_faults_are_switched_while_it_runs(gateway: Gateway, control_url: str) -> None:
    """The control endpoint lists what is on, takes what should be on, and refuses what it cannot understand."""
    async with httpx.AsyncClient() as client:
        assert (await client.get(control_url)).json() == []
        on = ["collections:throttle,times=1,after_s=0", "rpm:refuse"]
        assert (await client.put(control_url, json=on)).json() == on
        assert outcome(await gateway.ask("{ rep(by: { repId: 1001 }) { repId } }")) == UNAVAILABLE
        assert await gateway.data(READ) == FOUND
        assert len(gateway.calls) == 2
        assert (await client.get(control_url)).json() == ["rpm:refuse"]
        for wrong, said in WRONG.items():
            refused = await client.put(control_url, json=[wrong])
            assert refused.status_code == 400
            assert said in refused.json()["message"]
        for body in (b"", b"{}", b"[1]", b"\xff"):
            assert (await client.put(control_url, content=body)).status_code == 400
        assert (await client.get(control_url)).json() == ["rpm:refuse"]
        assert (await client.put(control_url, json=[])).json() == []
    assert await gateway.data("{ rep(by: { repId: 1001 }) { repId } }") == {"rep": {"repId": 1001}}


WRONG = {
    "": "is not written as SYSTEM:KIND",
    "latency": "is not written as SYSTEM:KIND",
    "rpm:latency,500": "is not written as SYSTEM:KIND",
    "rpm:lateness": "does not match any of the expected tags: 'refuse', 'latency'",
    "rpm:latency,mss=1": "mss: Extra inputs are not permitted",
    "rpm:latency,ms=-1": "ms: Input should be greater than or equal to 0",
    "rpm:error,status=404": "status: Input should be greater than or equal to 500",
    "rpm:error,rate=2": "rate: Input should be less than or equal to 1",
    "rpm:latency,ms=1,ms=2": "says something twice",
    "rpm:latency,kind=reset": "says something twice",
    "rpm:latency,jitter_ms=inf": "jitter_ms: Input should be a finite number",
    "rpm:content-type,value=a\nb": "value: String should match pattern",
    "crm:latency": "there is no system 'crm', only collections, disputes, rpm",
}


async def test_faults_that_are_switched_at_once_leave_no_doubt(control_url: str, sandbox: Sandbox) -> None:
    """Whatever is asked for at once, what is listed afterwards is what is."""
    async with httpx.AsyncClient() as client:
        answers = await asyncio.gather(
            *(client.put(control_url, json=on) for on in (["rpm:refuse"], [], ["rpm:refuse"], []))
        )
        assert {answer.status_code for answer in answers} == {200}
        assert (await client.get(control_url)).json() == [str(fault) for fault in sandbox.faults]
        await client.put(control_url, json=["rpm:drip,ms=2"])
        assert (await client.get(control_url)).json() == ["rpm:drip,ms=2"]


async def test_an_outage_with_callers_waiting(gateway: Gateway, sandbox: Sandbox) -> None:
    """While a system resets every connection 60 callers cost it few calls, and it recovers by itself."""
    await strike(sandbox, "disputes:reset")
    query = '{ assignee(by: { assigneeId: "asg-%04d" }) { id } }'
    replies = await asyncio.gather(*(gateway.ask(query % number) for number in range(1, 61)))
    assert {outcome(reply) for reply in replies} == {UNAVAILABLE}
    assert len(sandbox.ledger.calls) <= 60 * 1.1 + 3
