"""The gateway beside its peers on the same work: requests a second on one core, CPU, latency, calls, memory.

    python benchmarks/gateway.py [--seconds 4] [--rounds 3] [--at-once 50,1] [--only floor,peoplegraph] [--latency]

nginx over files is the upstream, wrk the load; both are on another core than the gateway. Every contender's answer
is compared with the floor's first. Rounds are interleaved and the median counts: trust the ratios. With `--latency`
the upstream takes 20 ms for each answer, and one caller asks.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.libc import tailcall
from processes import cpu_s, resident_mb, started
from workloads import TENANT, bodies, served, slow_upstream, upstream

HERE = Path(__file__).parent
WORKLOADS = ("A same", "A", "B", "C")
PORT, UPSTREAM_PORT = 18_441, 18_442
LATENCY_MS = 20
LUA = """
local bodies = {}
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
local head = { ["content-type"] = "application/json" }
local next = 0
request = function()
  next = next % #bodies + 1
  return wrk.format("POST", "/graphql", head, bodies[next])
end
"""


@dataclass(frozen=True)
class Contender:
    """How a gateway is started, and how it is asked: see `workloads.bodies`."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    aliases: bool = False
    distinct: bool = False
    workloads: tuple[str, ...] = WORKLOADS

    def bodies(self, workload: str) -> list[str]:
        """Return what it is asked."""
        return bodies(workload, aliases=self.aliases, distinct=self.distinct)

    @contextlib.contextmanager
    def running(self) -> "Iterator[subprocess.Popen[bytes]]":
        """Run it, on a core of its own."""
        environment = {**os.environ, **self.environment}
        core = 0 if (os.cpu_count() or 1) > 1 else None
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with started(self.command, core=core, env=environment, cwd=HERE, **quiet) as process:
            yield process


def contenders(url: str, folder: Path) -> dict[str, Contender]:
    """Return the gateways, over an upstream."""
    peoplegraph = {
        "PEOPLEGRAPH_COLLECTIONS_URL": url,
        "PEOPLEGRAPH_COLLECTIONS_API_KEY": "key",
        "PEOPLEGRAPH_DISPUTES_URL": url,
        "PEOPLEGRAPH_DISPUTES_API_KEY": "key",
        "PEOPLEGRAPH_DISPUTES_TENANT_ID": TENANT,
        "PEOPLEGRAPH_PORT": str(PORT),
    }
    off = {
        "PEOPLEGRAPH_COLLECTIONS_CACHE_TTL_S": "0",
        "PEOPLEGRAPH_DISPUTES_CACHE_TTL_S": "0",
        "PEOPLEGRAPH_SHARE_CALLS": "0",
        "PEOPLEGRAPH_SHARE_OPERATIONS": "0",
    }
    serve = [str(Path(sys.executable).with_name("peoplegraph")), "serve"]
    peer = {"UPSTREAM": url, "PORT": str(PORT), "PYTHONPATH": str(HERE / "peers"), "NODE_ENV": "production"}
    found = {
        "floor": Contender(uvicorn("floor:create_app", "--factory"), peer),
        "peoplegraph": Contender(serve, peoplegraph | off),
        "as shipped": Contender(serve, peoplegraph),
        "constant bytes": Contender(uvicorn("floor:constant"), peer, workloads=("A same",)),
        "not compiled": Contender(serve, peoplegraph | off | {"PEOPLEGRAPH_COMPILE": "0"}),
    }
    for name, dedupe in (("Tailcall", "false"), ("Tailcall, dedupe", "true")):
        config = (HERE / "peers/tailcall.graphql").read_text()
        for place, value in (("UPSTREAM", url), ("PORT", str(PORT)), ("DEDUPE", dedupe)):
            config = config.replace(place, value)
        file = folder / f"{dedupe}.graphql"
        file.write_text(config)
        quiet = {"TAILCALL_TRACKER": "false", "TAILCALL_LOG_LEVEL": "error"}
        command = [*tailcall(), "start", str(file)]
        found[name] = Contender(command, quiet, aliases=True, distinct=dedupe == "false")
    for name in ("mercurius", "apollo", "yoga"):
        found[name.title()] = Contender(["node", str(HERE / f"peers/{name}.mjs")], peer)
    for name in ("strawberry", "ariadne"):
        found[name.title()] = Contender(uvicorn(f"plain_{name}:app"), peer)
    return found


def uvicorn(*application: str) -> list[str]:
    """Return the command that serves an ASGI application."""
    options = ["--port", str(PORT), "--no-access-log", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", *options, *application]


def measure(contender: Contender, workload: str, seconds: float, at_once: int, url: str | None) -> dict[str, float]:
    """Start a contender, warm it up, and load it."""
    with contender.running() as process:
        ask(contender.bodies(workload)[0])
        load(contender, workload, 1, at_once)
        calls = served(url) if url else 0
        cpu = cpu_s(process.pid)
        done = load(contender, workload, seconds, at_once)
        cpu = cpu_s(process.pid) - cpu
        calls = served(url) - calls if url else 0
        requests = int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]
        return {
            "per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]),  # type: ignore[index]
            "cpu_ms": cpu / max(requests, 1) * 1e3,
            "p50_ms": milliseconds(re.search(r"\n +50% +(\S+)", done)[1]),  # type: ignore[index]
            "p99_ms": milliseconds(re.search(r"\n +99% +(\S+)", done)[1]),  # type: ignore[index]
            "calls": calls / max(requests, 1),
        }


def load(contender: Contender, workload: str, seconds: float, at_once: int) -> str:
    """Ask for so many seconds; return what wrk says."""
    with tempfile.TemporaryDirectory() as folder:
        script, lines = Path(folder, "load.lua"), Path(folder, "bodies")
        script.write_text(LUA)
        lines.write_text("\n".join(contender.bodies(workload)) + "\n")
        pin = ["taskset", "-c", "1"] if (os.cpu_count() or 1) > 1 else []
        wrk = ["wrk", "-t1", f"-c{at_once}", f"-d{seconds:g}s", "--timeout", "30s", "--latency", "-s", str(script)]
        command = [*pin, *wrk, f"http://127.0.0.1:{PORT}"]
        environment = {**os.environ, "BODIES": str(lines)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in done:
        sys.exit(f"{contender.command}\n{done}")
    return done


def alone_ms(url: str) -> float:
    """Return the median time of an upstream's answer, without a gateway."""
    wrk = ["wrk", "-t1", "-c1", "-d2s", "--latency", url]
    done = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
    return milliseconds(re.search(r"\n +50% +(\S+)", done)[1])  # type: ignore[index]


def memory_mb(contender: Contender, seconds: float, at_once: int) -> float:
    """Return the memory that a contender has when it has had all workloads."""
    with contender.running() as process:
        for workload in contender.workloads:
            ask(contender.bodies(workload)[0])
            load(contender, workload, seconds, at_once)
        return resident_mb(process.pid)


def ask(body: str) -> Any:
    """Ask once, as soon as somebody answers; return the data."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/graphql", body.encode(), {"content-type": "application/json"}
    )
    for _ in range(200):
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                answer = json.load(response)
        except OSError:
            time.sleep(0.05)
            continue
        if "errors" in answer:
            sys.exit(f"{body[:200]}: {str(answer)[:1000]}")
        return answer["data"]
    sys.exit("nobody answers")


def milliseconds(text: str) -> float:
    """Read a duration of wrk's."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 60e3}[unit]


def main() -> None:
    """Start the upstream, check the answers, run the rounds, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", default="50,1")
    parser.add_argument("--only", default="", help="contenders, a plus sign between them")
    parser.add_argument("--latency", action="store_true", help=f"let the upstream take {LATENCY_MS} ms")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.latency:
            way = slow_upstream(UPSTREAM_PORT, LATENCY_MS)
        else:
            way = upstream(Path(folder), UPSTREAM_PORT, core=1)
        with way as url:
            chosen = contenders(url, Path(folder))
            if arguments.only:
                chosen = {name: chosen[name] for name in arguments.only.split("+")}
            check(chosen)
            if arguments.latency:
                for path in ("/representatives/REP-001", f"/tenants/{TENANT}/assignees"):
                    print(f"{path}: {alone_ms(url + path):.2f} ms")
                run(chosen, 1, arguments.rounds, arguments.seconds, None)
                return
            for at_once in map(int, arguments.at_once.split(",")):
                run(chosen, at_once, arguments.rounds, arguments.seconds, url)
            print("\nmemory after all workloads, MB")
            for name, contender in chosen.items():
                print(f"  {name:18} {memory_mb(contender, arguments.seconds, 50):10.0f}", flush=True)


def run(chosen: dict[str, Contender], at_once: int, rounds: int, seconds: float, url: str | None) -> None:
    """Measure each workload, in rounds, and print its table; calls are counted at `url`."""
    for workload in WORKLOADS:
        results: dict[str, list[dict[str, float]]] = {
            name: [] for name, contender in chosen.items() if workload in contender.workloads
        }
        for _ in range(rounds):
            for name, rows in results.items():
                rows.append(measure(chosen[name], workload, seconds, at_once, url))
        table(f"{workload}, {at_once} at once", results)


def check(chosen: dict[str, Contender]) -> None:
    """See to it that all give the same data."""
    for workload in WORKLOADS:
        expected = None
        for name, contender in chosen.items():
            if workload not in contender.workloads:
                continue
            with contender.running():
                answer = ask(contender.bodies(workload)[0])
            if contender.aliases and workload == "C":
                answer = {"representatives": list(answer.values())}
            if contender.aliases:
                answer = as_text(answer)
            expected = expected or answer
            if answer != (as_text(expected) if contender.aliases else expected):
                sys.exit(f"{name} answers {workload} otherwise: {str(answer)[:600]}\n{str(expected)[:600]}")


def as_text(answer: Any) -> Any:
    """Return an answer with its scalars as text: Tailcall makes a number of a phone number, and "" of null."""
    if isinstance(answer, dict):
        return {name: as_text(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [as_text(value) for value in answer]
    return "" if answer is None else str(answer)


def table(title: str, results: dict[str, list[dict[str, float]]]) -> None:
    """Print a workload's medians."""

    def median(name: str, of: str) -> float:
        return statistics.median(row[of] for row in results[name])

    base = median(next(iter(results)), "per_s")
    print(f"\n{title:20} requests/s   to the first   CPU ms   p50 ms   p99 ms  calls")
    for name in results:
        print(
            f"  {name:18} {median(name, 'per_s'):10,.0f} {median(name, 'per_s') / base:14.2f}"
            f" {median(name, 'cpu_ms'):8.3f} {median(name, 'p50_ms'):8.2f} {median(name, 'p99_ms'):8.2f}"
            f" {median(name, 'calls'):6.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
