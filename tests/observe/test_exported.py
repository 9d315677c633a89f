"""What processes tell others of themselves: the metrics of one or of several, and spans."""

import asyncio
import gzip
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import httpx

from peoplegraph.sandbox.serving import serving as serving_apps
from peoplegraph.scopes import Scope
from tests.access.callers import entry
from tests.observe.processes import QUERY, ask, free_port, pid_of, serving
from tests.test_cli import command


def total(text: str, name: str) -> float:
    """Add up the samples of a metric."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))


async def test_several_workers_have_one_view(environment: dict[str, str]) -> None:
    """Whichever worker is asked tells what all have counted, on the port of the metrics, too; one may be killed."""
    port = free_port()
    async with serving("--workers", "2", **environment, PEOPLEGRAPH_METRICS_PORT=str(port)) as served:
        asked = 0
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=served.url, limits=limits) as client:
            async with asyncio.timeout(30):
                while total((await client.get("/metrics")).text, "peoplegraph_ready") < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            for _ in range(20):
                assert (await ask(client)).status_code == 200
                asked += 1
            views = [(await client.get("/metrics")).text for _ in range(6)]
            views.append((await client.get(f"http://127.0.0.1:{port}/metrics")).text)
        assert {total(view, "peoplegraph_operations_total") for view in views} == {asked}
        assert total(views[-1], "peoplegraph_upstream_slots") == 2 * (100 + 100 + 20)
        os.kill(pid_of(served.events_of("Started server process")[0]), signal.SIGKILL)
        await served.event("died")
        async with httpx.AsyncClient(base_url=served.url) as client, asyncio.timeout(30):
            while True:
                view = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
                if total(view, "peoplegraph_ready") == 2:
                    break
                assert total(view, "peoplegraph_ready") < 2
                await asyncio.sleep(0.05)
        assert total(view, "peoplegraph_operations_total") == asked
        served.process.send_signal(signal.SIGTERM)
        assert await served.ended() == 0


async def test_workers_that_were_replaced_are_counted(environment: dict[str, str], tmp_path: Path) -> None:
    """After SIGHUP all that was counted still is, and the files of the workers that ended have become one."""
    port = free_port()
    own = {"PEOPLEGRAPH_METRICS_PORT": str(port), "TMPDIR": str(tmp_path)}
    limits = httpx.Limits(max_keepalive_connections=0)
    async with (
        serving("--workers", "2", **environment, **own) as served,
        httpx.AsyncClient(base_url=served.url, limits=limits) as client,
    ):
        for ended in (2, 4):
            for _ in range(10):
                assert (await ask(client)).status_code == 200
            served.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(60):
                while len(served.events_of("Finished server process")) < ended:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        async with asyncio.timeout(30):
            while len([*tmp_path.glob("*/counter_*.db")]) > 3:
                view = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        assert total(view, "peoplegraph_operations_total") == 20
        assert total(view, "peoplegraph_operation_duration_seconds_count") == 20


async def test_a_port_of_their_own(environment: dict[str, str]) -> None:
    """With one worker the metrics are on their own port, too, and it is told where that is taken."""
    port = free_port()
    own = {"PEOPLEGRAPH_METRICS_PORT": str(port), "PEOPLEGRAPH_METRICS_OPEN": "false"}
    async with serving(**environment, **own) as served, httpx.AsyncClient(base_url=served.url) as client:
        assert (await client.get("/metrics")).status_code == 403
        reply = await client.get(f"http://127.0.0.1:{port}/metrics")
        assert total(reply.text, "peoplegraph_ready") == 1
        async with command("serve", "--port", "0", **environment, **own) as process:
            _, err = await asyncio.wait_for(process.communicate(), 30)
            assert (process.returncode, f"cannot listen on 127.0.0.1:{port}" in err.decode()) == (2, True)


async def test_made_up_names_leave_room_for_others(environment: dict[str, str], tmp_path: Path) -> None:
    """Who makes up names has `other` for them in the end; another caller's are told, and a trusted document's."""
    (loud, known), (quiet, other) = entry("loud", Scope.ADHOC), entry("quiet", Scope.METRICS)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"1": "query Trusted { __typename }"}), encoding="utf-8")
    settings = {
        "PEOPLEGRAPH_API_KEYS": json.dumps([known, other]),
        "PEOPLEGRAPH_TRUSTED_DOCUMENTS": "log",
        "PEOPLEGRAPH_TRUSTED_MANIFEST": str(manifest),
    }
    async with serving(**environment, **settings) as served, httpx.AsyncClient(base_url=served.url) as client:
        for number in range(110):
            await ask(client, f"query Loud_{number} {{ __typename }}", authorization=f"Bearer {loud}")
        await ask(client, "query Trusted { __typename }", authorization=f"Bearer {loud}")
        await ask(client, "query Quiet { __typename }", authorization=f"Bearer {quiet}")
        text = (await client.get("/metrics", headers={"authorization": f"Bearer {quiet}"})).text
    told = set(re.findall(r'peoplegraph_operations_total{operation="(\w+)"', text))
    assert told == {*(f"Loud_{number}" for number in range(100)), "other", "Trusted", "Quiet"}
    assert total(text, "peoplegraph_operations_total") == 112


async def test_spans_arrive(environment: dict[str, str]) -> None:
    """They are sent to the collector that OpenTelemetry's variables name; the last of them at the end."""
    received: list[tuple[str, bytes]] = []

    async def collector(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        received.append((scope["path"], message["body"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with serving_apps((collector,), "127.0.0.1", 0) as (server,):
        told = {"PEOPLEGRAPH_TRACES": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": server.url}
        async with serving(**environment, **told) as served, httpx.AsyncClient(base_url=served.url) as client:
            assert (await ask(client, "query Traced " + QUERY)).status_code == 200
    assert {path for path, _ in received} == {"/v1/traces"}
    sent = b"".join(body for _, body in received)
    assert b"query Traced" in gzipped(sent)
    assert b"peoplegraph" in gzipped(sent)


def gzipped(body: bytes) -> bytes:
    """Return a body as it was before it was compressed, if it was."""
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
