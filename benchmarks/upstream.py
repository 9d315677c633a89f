"""What an upstream call costs: the engines and the whole path, beside raw aiohttp, stock httpx and undici.

    python benchmarks/upstream.py [--calls 20000] [--rounds 3]

A constant upstream (nginx) answers 400 bytes of JSON on loopback. Each contender runs in a process of its own, on
one core, the upstream on another; rounds are interleaved, and the median counts. Printed are microseconds of CPU
per call, calls per second, and the CPU as a ratio to raw aiohttp's: trust the ratios.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

HERE = Path(__file__).parent
CONTENDERS = ("aiohttp", "http1", "plain", "path", "httpx-engine", "httpx", "undici")
AT_ONCE = (1, 20, 50, 100)
BODY = json.dumps(
    {
        "reference": "REP-001",
        "name": "Jane Smith",
        "email": "jane.smith@northwind.example",
        "phone": "+1 212 555 0001",
        "mobile_phone": "+1 917 555 0001",
        "language": "en",
        "title": "Account Manager",
        "department": "Sales",
        "representative_type": "FIELD",
        "supervisor_representative_reference": "REP-002",
        "custom_fields": {"region": "East"},
        "accounts": ["ACCT-0001", "ACCT-0002"],
        "documents": [],
    }
)
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 10000000;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{body}'; }} }}
}}
"""

One = Callable[[int], Awaitable[None]]


async def contend(contender: str, url: str, at_once: int, calls: int) -> None:
    """Make the calls, and print what they cost."""
    one, close = await open_contender(contender, url)
    numbers = iter(range(10**9))

    async def worker(count: int) -> None:
        for _ in range(count):
            await one(next(numbers))

    await asyncio.gather(*(worker(5) for _ in range(at_once)))
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker(calls // at_once) for _ in range(at_once)))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    await close()
    print(json.dumps({"cpu_us": cpu / calls * 1e6, "per_s": calls / took}))


async def open_contender(contender: str, url: str) -> tuple[One, Callable[[], Awaitable[object]]]:
    """Return a coroutine that makes one call, and one that closes what it needs."""
    loop = asyncio.get_running_loop()
    if contender == "aiohttp":
        import aiohttp

        connector = aiohttp.TCPConnector(limit=100)
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

        async def with_aiohttp(number: int) -> None:
            async with session.get(f"{url}/{number}", headers={"X-API-Key": "key"}) as response:
                await response.read()

        return with_aiohttp, session.close
    if contender == "httpx":
        import httpx

        client = httpx.AsyncClient(limits=httpx.Limits(max_connections=100, max_keepalive_connections=100))

        async def with_httpx(number: int) -> None:
            await client.get(f"{url}/{number}", headers={"X-API-Key": "key"})

        return with_httpx, client.aclose

    from peoplegraph.settings import Settings
    from peoplegraph.systems import System
    from peoplegraph.upstream import build_upstream
    from peoplegraph.upstream.call import Call, Credential
    from peoplegraph.upstream.http1 import Http1Engine
    from peoplegraph.upstream.httpx_engine import HttpxEngine
    from peoplegraph.upstream.limit import Limits

    credential = Credential("X-API-Key", "key")
    if contender in {"path", "plain"}:
        on = contender == "path"
        block = {"url": url, "api_key": "key", "cache_ttl_s": 2 if on else 0}
        path = build_upstream(Settings.load(_env_file=None, collections=block, share_calls=on))
        send, close = (await path.__aenter__()).send, lambda: path.__aexit__(None, None, None)
    else:
        kind = Http1Engine if contender == "http1" else HttpxEngine
        engine = kind({System.COLLECTIONS: url}, {System.COLLECTIONS: Limits(100)})
        send, close = engine.send, lambda: engine.__aexit__(None, None, None)

    async def with_ours(number: int) -> None:
        deadline = loop.time() + 10
        call = Call(System.COLLECTIONS, "GET", f"/{number}", credential, deadline, reads=True, safe_to_retry=True)
        answer = await send(call)
        assert answer.status == 200

    return with_ours, close


async def one_representative(url: str, callers: int = 50, seconds: float = 5, ttl_s: float = 1) -> None:
    """Let many callers ask for the same, again and again, and print how many calls that makes."""
    from peoplegraph.settings import Settings
    from peoplegraph.systems import System
    from peoplegraph.upstream import build_upstream
    from peoplegraph.upstream.call import Answer, Call, Credential
    from peoplegraph.upstream.http1 import Http1Engine

    made = 0
    carry = Http1Engine.send

    async def counted(engine: Http1Engine, call: Call) -> Answer:
        nonlocal made
        made += 1
        return await carry(engine, call)

    Http1Engine.send = counted  # type: ignore[method-assign]
    credential, asked, loop = Credential("X-API-Key", "key"), 0, asyncio.get_running_loop()
    block = {"url": url, "api_key": "key", "cache_ttl_s": ttl_s}
    async with build_upstream(Settings.load(_env_file=None, collections=block)) as upstream:
        ends = loop.time() + seconds

        async def caller() -> None:
            nonlocal asked
            while loop.time() < ends:
                deadline = loop.time() + 10
                call = Call(System.COLLECTIONS, "GET", "/1", credential, deadline, reads=True, safe_to_retry=True)
                await upstream.send(call)
                asked += 1
                await asyncio.sleep(0)

        await asyncio.gather(*(caller() for _ in range(callers)))
    print(f"\n{callers} callers for one record, {seconds:g} s, kept for {ttl_s:g} s: {asked:,} asked, {made} calls")


def run(contender: str, url: str, at_once: int, calls: int) -> dict[str, float] | None:
    """Run a contender in a process of its own; None if it cannot be."""
    if contender == "undici":
        node = shutil.which("node")
        if node is None or not (HERE / "node_modules/undici").exists():
            return None
        command = [node, str(HERE / "peers/undici.mjs"), url, str(at_once), str(calls)]
    else:
        command = [sys.executable, __file__, "--contend", contender, url, str(at_once), str(calls)]
    if shutil.which("taskset") and (os.cpu_count() or 1) > 1:
        command = ["taskset", "-c", "0", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    """Start the upstream, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contend", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contend:
        contender, url, at_once, calls = arguments.contend
        uvloop.run(contend(contender, url, int(at_once), int(calls)))
        return
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        sys.exit("nginx is needed: apt-get install nginx-light")
    port = 18_431
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, port=port, body=BODY))
        pin = ["taskset", "-c", "1"] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else []
        upstream = subprocess.Popen([*pin, nginx, "-c", str(config)])
        try:
            time.sleep(0.5)
            report(f"http://127.0.0.1:{port}", arguments.calls, arguments.rounds)
            uvloop.run(one_representative(f"http://127.0.0.1:{port}"))
        finally:
            upstream.terminate()
            upstream.wait()


def report(url: str, calls: int, rounds: int) -> None:
    """Run all contenders, interleaved, and print medians."""
    for at_once in AT_ONCE:
        results: dict[str, list[dict[str, float]]] = {}
        for _ in range(rounds):
            for contender in CONTENDERS:
                fewer = (
                    calls // 10 if contender == "httpx" else calls // 4 if contender == "httpx-engine" else calls
                )
                result = run(contender, url, at_once, fewer)
                if result:
                    results.setdefault(contender, []).append(result)
        base = statistics.median(r["cpu_us"] for r in results["aiohttp"])
        bare = statistics.median(r["per_s"] for r in results["http1"])
        print(f"\n{at_once} at once      CPU us/call    calls/s   CPU to aiohttp's   calls/s to http1's")
        for contender, rows in results.items():
            cpu = statistics.median(r["cpu_us"] for r in rows)
            per_s = statistics.median(r["per_s"] for r in rows)
            line = f"  {contender:14} {cpu:10.1f} {per_s:10,.0f} {cpu / base:18.2f} {per_s / bare:20.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
