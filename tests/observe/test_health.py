"""Health: whether the process lives, and whether requests may be sent to it."""

import asyncio
import time
from typing import Any

import pytest

from peoplegraph import create_app
from peoplegraph.sandbox import Blocks
from peoplegraph.sandbox.faults import parse
from tests.conftest import MakeGateway
from tests.gateway import Gateway, client_of, settings_for


async def test_a_gateway_is_ready(gateway: Gateway) -> None:
    """Both probes answer 200, by whatever name, and without a credential."""
    for path in ("/healthz", "/readyz"):
        reply = await gateway.fetch(path, headers={"host": "10.0.0.7:8000"})
        assert reply.status_code == 200
        assert reply.headers["cache-control"] == "no-store"
    ready = (await gateway.fetch("/readyz")).json()
    assert ready["status"] == "ready"
    assert ready["breakers"] == {"COLLECTIONS": "closed", "DISPUTES": "closed", "RPM": "closed"}


async def test_it_is_ready_when_it_has_begun(blocks: Blocks) -> None:
    """Before its lifespan has begun it lives, and is not ready; while it drains it answers, and is not ready."""
    app = create_app(settings_for(blocks))
    async with client_of(app, "127.0.0.1") as client:
        assert (await client.get("/healthz")).status_code == 200
        reply = await client.get("/readyz")
        assert (reply.status_code, reply.json()["status"]) == (503, "starting")
        async with app.router.lifespan_context(app):
            assert (await client.get("/readyz")).status_code == 200
            app.drain()
            reply = await client.get("/readyz")
            assert (reply.status_code, reply.json()["status"]) == (503, "draining")
            assert (await client.get("/healthz")).status_code == 200
            answer = await client.post("/graphql", json={"query": "{ __typename }"})
            assert answer.json() == {"data": {"__typename": "Query"}}


async def failing(gateway: Gateway) -> Any:
    """Let RPM fail until its breaker opens; return what the gateway says of its readiness."""
    await gateway.sandbox.switch([parse("rpm:error,status=503")])
    for number in range(25):
        await gateway.ask("query ($id: Int!) { rep(by: { repId: $id }) { name } }", id=1001 + number)
    return await gateway.fetch("/readyz")


async def test_a_system_that_fails_is_told(gateway: Gateway) -> None:
    """An open breaker is reported, and the gateway is ready all the same: everything else is answered."""
    reply = await failing(gateway)
    assert (reply.status_code, reply.json()["breakers"]["RPM"]) == (200, "open")
    assert "peoplegraph_breaker_state" in (await gateway.fetch("/metrics")).text


async def test_a_system_may_be_needed(gateway_with: MakeGateway) -> None:
    """Where the settings say so it is not ready without one."""
    reply = await failing(await gateway_with(ready_needs_upstreams=True))
    assert (reply.status_code, reply.json()["status"]) == (503, "upstreams")


async def test_a_system_that_is_needed_is_tried_again(gateway_with: MakeGateway) -> None:
    """Who is sent no requests makes no calls: behind the breaker's pause it is ready, to find out."""
    gateway = await gateway_with(ready_needs_upstreams=True)
    assert (await failing(gateway)).status_code == 503
    await gateway.sandbox.switch([])
    ready = await until(gateway, 200, within_s=10)
    assert ready.json()["breakers"]["RPM"] == "probing"
    assert (await gateway.ask("{ rep(by: { repId: 1011 }) { name } }")).errors == []
    assert (await gateway.fetch("/readyz")).json()["breakers"]["RPM"] == "closed"


async def test_a_loop_without_time_is_not_ready(gateway: Gateway) -> None:
    """After something has held the event loop for more than a second the gateway says so, for two seconds."""
    time.sleep(1.3)  # noqa: ASYNC251  # that is the fault
    reply = await until(gateway, 503)
    assert reply.json()["status"] == "starved"
    assert reply.json()["eventLoopLagMs"] >= 1000
    assert (await until(gateway, 200)).json()["status"] == "ready"


async def until(gateway: Gateway, status: int, within_s: float = 5) -> Any:
    """Ask until the answer has a status."""
    began = time.monotonic()
    while (reply := await gateway.fetch("/readyz")).status_code != status:
        assert time.monotonic() < began + within_s
        await asyncio.sleep(0.05)
    return reply


@pytest.mark.parametrize("path", ["/metrics"])
async def test_metrics_are_asked_by_name(gateway: Gateway, path: str) -> None:
    """A page that has its own name point at this machine cannot read them."""
    assert (await gateway.fetch(path, headers={"host": "evil.example"})).status_code == 400
