"""What one `peoplegraph serve` needs: its start, its memory, CPU a request. The figures are in docs/deployment.md.

    python benchmarks/sizing.py [--seconds 5]

The workloads, the upstream and the load are those of gateway.py; each row is a process of its own.
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

from processes import cpu_s, is_ready, resident_mb
from workloads import TENANT, upstream

from gateway import PORT, UPSTREAM_PORT, Contender, ask, load

OFF = {"COLLECTIONS_CACHE_TTL_S": "0", "DISPUTES_CACHE_TTL_S": "0", "SHARE_CALLS": "0", "SHARE_OPERATIONS": "0"}
"""No answer is kept, and nothing shared: every request makes its calls."""


def main() -> None:
    """Start the upstream, and print a table for each way of running the gateway."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, upstream(Path(folder), UPSTREAM_PORT, core=1) as url:
        begin(contender(url))
        for name, chosen in (("as shipped", contender(url)), ("nothing saved", contender(url, **OFF))):
            for at_once in (1, 50, 500):
                for workload in ("A", "B", "C"):
                    row(chosen, name, workload, at_once, seconds)


def contender(url: str, **more: str) -> Contender:
    """Return the gateway over an upstream, on the port of the benchmarks."""
    settings = {
        "COLLECTIONS_URL": url,
        "COLLECTIONS_API_KEY": "key",
        "DISPUTES_URL": url,
        "DISPUTES_API_KEY": "key",
        "DISPUTES_TENANT_ID": TENANT,
        "PORT": str(PORT),
        **more,
    }
    serve = [str(Path(sys.executable).with_name("peoplegraph")), "serve"]
    return Contender(serve, {f"PEOPLEGRAPH_{name}": value for name, value in settings.items()})


def begin(chosen: Contender) -> None:
    """Print how long it takes to be ready, the CPU for that, and the memory when nobody has asked yet."""
    began = time.monotonic()
    with chosen.running() as process:
        while not is_ready(f"http://127.0.0.1:{PORT}"):
            time.sleep(0.01)
        took_s = time.monotonic() - began
        print(
            f"ready after {took_s:.2f} s and {cpu_s(process.pid):.2f} s of CPU, {resident_mb(process.pid):.0f} MB"
        )
        before = cpu_s(process.pid)
        time.sleep(20)
        print(f"idle: {(cpu_s(process.pid) - before) / 20 * 1000:.1f} m of CPU, {resident_mb(process.pid):.0f} MB")


def row(chosen: Contender, name: str, workload: str, at_once: int, seconds: float) -> None:
    """Print CPU a request, and the most memory there was."""
    with chosen.running() as process:
        ask(chosen.bodies(workload)[0])
        load(chosen, workload, 1, at_once)
        cpu = cpu_s(process.pid)
        began = time.monotonic()
        done = load(chosen, workload, seconds, at_once)
        cores = (cpu_s(process.pid) - cpu) / (time.monotonic() - began)
        requests = int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]
        per_s = float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1])  # type: ignore[index]
        peak_mb = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024  # type: ignore[index]
        cpu_ms = (cpu_s(process.pid) - cpu) / max(requests, 1) * 1e3
        print(
            f"{name:13} {workload} {at_once:4} at once: {per_s:8,.0f}/s {cpu_ms:7.3f} ms CPU"
            f" {cores:5.2f} cores {peak_mb:5.0f} MB at most",
            flush=True,
        )


if __name__ == "__main__":
    main()
