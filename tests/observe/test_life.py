"""How a gateway begins and ends: processes of their own, and the signals that end them."""

import asyncio
import json
import os
import re
import signal
from contextlib import suppress

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from peoplegraph.sandbox import Sandbox
from peoplegraph.sandbox.faults import parse
from tests.observe.processes import QUERY, UPDATE, ask, pid_of, said, serving
from tests.test_cli import command


async def test_it_begins_with_every_system_down(environment: dict[str, str]) -> None:
    """Nobody is called at the start: a gateway whose systems are all down is ready, and tells each field."""
    down = {
        name: re.sub(r":\d+", ":9", value) if name.endswith("_URL") else value
        for name, value in environment.items()
    }
    async with serving(**down) as served, httpx.AsyncClient(base_url=served.url) as client:
        reply = await ask(client)
        assert reply.json()["errors"][0]["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"
        assert reply.json()["data"] == {"representative": None}


async def test_what_is_under_way_is_finished(sandbox: Sandbox, environment: dict[str, str]) -> None:
    """SIGTERM: not ready at once, nobody new is let in, and a slow query and a slow write have their answers."""
    await sandbox.switch([parse("collections:latency,ms=1500")])
    async with serving(**environment, PEOPLEGRAPH_DRAIN_S="0.5") as served:
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=served.url, limits=limits) as client:
            slow = [asyncio.create_task(ask(client, query)) for query in (QUERY, UPDATE)]
            while len(sandbox.ledger.calls) < 2:  # noqa: ASYNC110  # a list has no event
                await asyncio.sleep(0.01)
            served.process.send_signal(signal.SIGTERM)
            await served.event("not ready any more")
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (503, "draining")
            assert (await ask(client, "{ __typename }")).status_code == 200
            await served.event("Shutting down")
            with pytest.raises(httpx.ConnectError):
                await ask(client, "{ __typename }")
            query, write = await asyncio.gather(*slow)
        assert query.json() == {"data": {"representative": {"reference": "REP-021"}}}
        assert write.json() == {"data": {"updateRepresentative": {"errors": []}}}
        assert await served.ended() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_signal_may_come_twice(sandbox: Sandbox, environment: dict[str, str], workers: str) -> None:
    """SIGTERM goes to each process, and the parent passes it on: what is under way is finished all the same."""
    await sandbox.switch([parse("collections:latency,ms=2000")])
    async with serving("--workers", workers, **environment) as served:
        async with httpx.AsyncClient(base_url=served.url) as client:
            slow = asyncio.create_task(ask(client))
            while not sandbox.ledger.calls:  # noqa: ASYNC110  # a list has no event
                await asyncio.sleep(0.01)
            pids = {served.process.pid, *map(pid_of, served.events_of("Started server process"))}
            for _ in range(2):
                for pid in pids:
                    with suppress(ProcessLookupError):  # whoever had nothing under way may have ended
                        os.kill(pid, signal.SIGTERM)
                await asyncio.sleep(0.3)
            assert (await slow).json() == {"data": {"representative": {"reference": "REP-021"}}}
        assert await served.ended() == 0


async def test_who_is_in_a_hurry_asks_twice(sandbox: Sandbox, environment: dict[str, str]) -> None:
    """A second Ctrl-C does not wait for what is under way."""
    await sandbox.switch([parse("collections:latency,ms=8000")])
    async with serving(**environment) as served, httpx.AsyncClient(base_url=served.url) as client:
        slow = asyncio.create_task(ask(client))
        while not sandbox.ledger.calls:  # noqa: ASYNC110  # a list has no event
            await asyncio.sleep(0.01)
        served.process.send_signal(signal.SIGINT)
        await served.event("Shutting down")
        served.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(served.process.wait(), 5) == 0
        await asyncio.gather(slow, return_exceptions=True)


async def test_what_is_under_way_on_a_websocket_is_finished(sandbox: Sandbox, environment: dict[str, str]) -> None:
    """A query and a mutation have their answers before the connection is closed; none is begun any more."""
    await sandbox.switch([parse("collections:latency,ms=1500")])
    async with serving(**environment) as served:
        url = served.url.replace("http", "ws") + "/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send('{"type": "connection_init"}')
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            for name, query in (("query", QUERY), ("write", UPDATE)):
                await socket.send(json.dumps({"type": "subscribe", "id": name, "payload": {"query": query}}))
            while len(sandbox.ledger.calls) < 2:  # noqa: ASYNC110  # a list has no event
                await asyncio.sleep(0.01)
            served.process.send_signal(signal.SIGTERM)
            await served.event("not ready any more")
            await socket.send(json.dumps({"type": "subscribe", "id": "late", "payload": {"query": QUERY}}))
            said = []
            with suppress(ConnectionClosed):  # 1012: the service restarts
                while True:
                    said.append(json.loads(await socket.recv()))
        answers = {each["id"]: each["payload"] for each in said if each["type"] in ("next", "error")}
        assert answers["query"] == {"data": {"representative": {"reference": "REP-021"}}}
        assert answers["write"] == {"data": {"updateRepresentative": {"errors": []}}}
        assert answers["late"][0]["extensions"]["code"] == "SHUTTING_DOWN"
        assert await served.ended() == 0


async def test_a_signal_before_it_has_begun(environment: dict[str, str]) -> None:
    """SIGHUP does not end a gateway that is about to begin."""
    async with command("serve", "--port", "0", **environment) as process:
        await said(process, b"Started server process")
        process.send_signal(signal.SIGHUP)
        await said(process, b"Uvicorn running on")
        process.terminate()
        assert await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_takes_longer_than_there_is_is_answered_503(
    sandbox: Sandbox, environment: dict[str, str], number: signal.Signals
) -> None:
    """At the end of its time a request hears that the gateway ends, and the exit code is 0 all the same."""
    await sandbox.switch([parse("collections:latency,ms=8000")])
    async with serving(**environment, PEOPLEGRAPH_GRACE_S="0.3") as served:
        async with httpx.AsyncClient(base_url=served.url) as client:
            slow = asyncio.create_task(ask(client))
            while not sandbox.ledger.calls:  # noqa: ASYNC110  # a list has no event
                await asyncio.sleep(0.01)
            served.process.send_signal(number)
            reply = await slow
        assert reply.status_code == 503
        assert reply.json()["errors"][0]["extensions"]["code"] == "SHUTTING_DOWN"
        assert reply.headers["retry-after"] == "1"
        assert await served.ended() == 0
    assert "Traceback" not in json.dumps(served.events)


async def test_each_request_is_in_the_log_of_one_that_ended(environment: dict[str, str]) -> None:
    """None is lost when a gateway ends, though the events of one turn of its loop are one write."""
    async with serving(**environment) as served, httpx.AsyncClient(base_url=served.url) as client:
        ids = {f"r{number}" for number in range(50)}
        await asyncio.gather(*(ask(client, "{ __typename }", **{"X-Request-Id": id_}) for id_ in ids))
        served.process.terminate()
        assert await served.ended() == 0
        async with asyncio.timeout(30):  # to read the rest
            while {event["request"] for event in served.events_of("^request$")} != ids:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
