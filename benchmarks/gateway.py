"""The gateway beside its peers on the same work: requests a second on one core, CPU and latency.

    python benchmarks/gateway.py [--seconds 4] [--rounds 2] [--only floor,peoplegraph]

nginx over files is the upstream, wrk the load; both are on another core than the gateway. Every contender's answer
is compared with the floor's first. Rounds are interleaved and the median counts: trust the ratios.
"""

import argparse
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
from dataclasses import dataclass, field
from pathlib import Path

from workloads import TENANT, bodies, started, upstream

HERE = Path(__file__).parent
WORKLOADS = ("A same", "A", "B", "C")
PORT, UPSTREAM_PORT = 18_441, 18_442
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
    """How a gateway is started."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def contenders(url: str) -> dict[str, Contender]:
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
    uvicorn = [sys.executable, "-m", "uvicorn", "--factory", "--port", str(PORT), "--no-access-log", "--log-level"]
    return {
        "floor": Contender([*uvicorn, "warning", "floor:create_app"], {"UPSTREAM": url}),
        "peoplegraph": Contender(serve, peoplegraph | off),
        "as shipped": Contender(serve, peoplegraph),
        "not compiled": Contender(serve, peoplegraph | off | {"PEOPLEGRAPH_COMPILE": "0"}),
    }


def measure(contender: Contender, workload: str, seconds: float, at_once: int) -> dict[str, float]:
    """Start a contender, warm it up, and load it."""
    pinned = 0 if (os.cpu_count() or 1) > 1 else None
    with tempfile.TemporaryDirectory() as folder:
        script, lines = Path(folder, "load.lua"), Path(folder, "bodies")
        script.write_text(LUA)
        lines.write_text("\n".join(bodies(workload)) + "\n")
        environment = {**os.environ, **contender.environment}
        with started(
            contender.command, core=pinned, env=environment, cwd=HERE, stderr=subprocess.DEVNULL
        ) as process:
            answer = ask(bodies(workload)[0])
            if "errors" in answer:
                sys.exit(f"{contender.command}: {answer}")
            load = ["wrk", "-t1", f"-c{at_once}", "--latency", "-s", str(script), f"http://127.0.0.1:{PORT}"]
            load = (["taskset", "-c", "1"] if pinned is not None else []) + load
            environment = {**os.environ, "BODIES": str(lines)}
            subprocess.run([*load, "-d1s"], env=environment, capture_output=True, check=True)
            cpu = cpu_s(process.pid)
            done = subprocess.run(
                [*load, f"-d{seconds:g}s"], env=environment, capture_output=True, text=True, check=True
            ).stdout
            cpu = cpu_s(process.pid) - cpu
            requests = int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]
            if "Non-2xx" in done:
                sys.exit(done)
            return {
                "per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]),  # type: ignore[index]
                "cpu_ms": cpu / requests * 1e3,
                "p50_ms": milliseconds(re.search(r"\n +50% +(\S+)", done)[1]),  # type: ignore[index]
                "p99_ms": milliseconds(re.search(r"\n +99% +(\S+)", done)[1]),  # type: ignore[index]
                "mb": resident_mb(process.pid),
            }


def ask(body: str) -> dict[str, object]:
    """Ask once, as soon as somebody answers."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/graphql", body.encode(), {"content-type": "application/json"}
    )
    for _ in range(200):
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                answer: dict[str, object] = json.load(response)
                return answer
        except OSError:
            time.sleep(0.05)
    sys.exit("nobody answers")


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process and its threads have had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Return the memory that a process has."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024  # type: ignore[index]


def milliseconds(text: str) -> float:
    """Read a duration of wrk's."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def main() -> None:
    """Start the upstream, check the answers, run the rounds, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder, upstream(Path(folder), UPSTREAM_PORT, core=1) as url:
        chosen = {k: v for k, v in contenders(url).items() if not arguments.only or k in arguments.only.split(",")}
        check(chosen)
        for workload in WORKLOADS:
            results: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
            for _ in range(arguments.rounds):
                for name, contender in chosen.items():
                    results[name].append(measure(contender, workload, arguments.seconds, arguments.at_once))
            table(workload, results)


def check(chosen: dict[str, Contender]) -> None:
    """See to it that all give the same data."""
    for workload in WORKLOADS:
        expected = None
        for name, contender in chosen.items():
            with started(
                contender.command, env={**os.environ, **contender.environment}, cwd=HERE, stderr=subprocess.DEVNULL
            ):
                answer = ask(bodies(workload)[0])
            expected = expected or answer
            if answer != expected:
                sys.exit(f"{name} answers {workload} otherwise: {str(answer)[:300]}\n{str(expected)[:300]}")


def table(workload: str, results: dict[str, list[dict[str, float]]]) -> None:
    """Print a workload's medians."""

    def median(name: str, of: str) -> float:
        return statistics.median(row[of] for row in results[name])

    base = median(next(iter(results)), "per_s")
    print(f"\n{workload:20} requests/s   to the first   CPU ms   p50 ms   p99 ms      MB")
    for name in results:
        print(
            f"  {name:18} {median(name, 'per_s'):10,.0f} {median(name, 'per_s') / base:14.2f}"
            f" {median(name, 'cpu_ms'):8.3f} {median(name, 'p50_ms'):8.1f} {median(name, 'p99_ms'):8.1f}"
            f" {median(name, 'mb'):7.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
