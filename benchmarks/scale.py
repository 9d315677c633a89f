"""What more gateways cost and save: 1, 2 and 4 of them over one upstream, each alone and with a shared Valkey.

    python benchmarks/scale.py [--seconds 10] [--rounds 2] [--gateways 1,2,4] [--only alone|shared]

The upstream takes 20 ms for each answer and counts its calls. Requests go to the gateways in turns: from so many
callers at once, each asking again when it has its answer, and then at a steady rate. All gateways have one core
together, so that CPU a request is comparable, and requests a second are those of one core however many there are;
load, upstream and Valkey have the other.
"""

import argparse
import contextlib
import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from client import Client, closed_loop, steadily
from processes import (
    Valkey,
    cpu_s,
    free_port,
    gateway,
    metrics,
    resident_mb,
    several_cores,
    total,
    wait_until_ready,
    wait_until_together,
)
from workloads import TENANT, mixed, slow_status, slow_upstream

LATENCY_MS = 20
RECORDS = 5_000
BODIES = 20_000
WARM_S = 4.0
CONCURRENCY = 40
"""What Collections may be sent at once: by each gateway that is alone, by all that share."""
COLUMNS = {
    "requests/s": "{:,.0f}",
    "CPU ms": "{:.3f}",
    "p50 ms": "{:.1f}",
    "p99 ms": "{:.1f}",
    "calls": "{:.2f}",
    "at once": "{:.0f}",
    "local %": "{:.1f}",
    "shared %": "{:.1f}",
    "miss %": "{:.1f}",
    "MB": "{:.0f}",
    "Valkey/s": "{:,.0f}",
    "a request": "{:.2f}",
    "Valkey us": "{:.0f}",
    "other core": "{:.2f}",
}
"""The figures, and how each is written: `calls` are those upstream a request, `at once` the most to Collections."""


@dataclass
class Load:
    """Asks the gateways in turns, and takes note of how long each answer took."""

    clients: Iterator[Client]
    bodies: Iterator[bytes]
    took_s: list[float] = field(default_factory=list)

    async def ask(self, due: float | None = None) -> None:
        """Ask one of them; its time counts from when it was due."""
        began = time.monotonic() if due is None else due
        status, body = await next(self.clients).ask(next(self.bodies))
        self.took_s.append(time.monotonic() - began)
        if status != 200 or b'"errors":[{' in body:
            sys.exit(f"a gateway answers {status} {body[:1000].decode()}")


@dataclass(frozen=True)
class Setup:
    """Gateways over an upstream, and the Valkey that they share if they do."""

    gateways: list[subprocess.Popen[bytes]]
    urls: list[str]
    upstream: str
    valkey: Valkey | None

    def counts(self) -> dict[str, float]:
        """Return what is counted, as far as it has come."""
        found = [metrics(url) for url in self.urls]
        info = self.valkey.info() if self.valkey else {}
        upstream = slow_status(self.upstream)
        return {
            "cpu_s": sum(cpu_s(process.pid) for process in self.gateways),
            "served": upstream["served"],
            "most": upstream["most_at_once"],
            "commands": info.get("total_commands_processed", 0),
            "valkey_cpu_s": sum(info.get(f"used_cpu_{kind}", 0) for kind in ("user", "sys")),
            "other_cpu_s": time.process_time() + upstream["cpu_s"],
            "local": reads(found, "cache", "hit"),
            "shared": reads(found, "group", "hit"),
            "reads": reads(found, "cache", ""),
        }


def reads(found: list[dict[str, float]], where: str, result: str) -> float:
    """Return how many reads of all gateways ended so, in their own memory (`cache`) or in the store (`group`)."""
    return sum(total(one, f"peoplegraph_{where}_reads_total", f'result="{result}') for one in found)


@contextlib.contextmanager
def running(count: int, upstream: str, *, shared: bool) -> Iterator[Setup]:
    """Start gateways, all on one core, and a Valkey of theirs if it is wanted."""
    settings = {
        "COLLECTIONS_URL": upstream,
        "COLLECTIONS_API_KEY": "key",
        "COLLECTIONS_CONCURRENCY": str(CONCURRENCY),
        "DISPUTES_URL": upstream,
        "DISPUTES_API_KEY": "key",
        "DISPUTES_TENANT_ID": TENANT,
    }
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        valkey = stack.enter_context(Valkey(folder, core=1).running()) if shared else None
        if valkey is not None:
            settings |= valkey.settings
        gateways, urls = [], []
        for number in range(count):
            port, log = free_port(), folder / f"{number}.log"
            gateways.append(stack.enter_context(gateway(settings, port, log, core=0)))
            urls.append(f"http://127.0.0.1:{port}")
            wait_until_ready(urls[-1], log)
        if valkey is not None:
            wait_until_together(urls)
        yield Setup(gateways, urls, upstream, valkey)


async def measure(setup: Setup, at_once: int | None, per_s: float, seconds: float) -> dict[str, float]:
    """Load a setup, by so many callers or at a rate, and return its figures."""
    clients = [Client(url) for url in setup.urls]
    bodies = itertools.cycle([body.encode() for body in mixed(BODIES, RECORDS)])

    async def run(seconds: float) -> Load:
        load = Load(itertools.cycle(clients), bodies)
        if at_once is None:
            await steadily(load.ask, per_s, seconds)
        else:
            await closed_loop(load.ask, at_once, seconds)
        return load

    await run(WARM_S)
    before, began = setup.counts(), time.monotonic()
    load = await run(seconds)
    took_s = time.monotonic() - began
    after = setup.counts()
    for client in clients:
        client.close()
    return figures({name: after[name] - before[name] for name in after}, sorted(load.took_s), took_s) | {
        "at once": after["most"],
        "MB": statistics.mean(resident_mb(process.pid) for process in setup.gateways),
    }


def figures(counts: Mapping[str, float], answers_s: list[float], took_s: float) -> dict[str, float]:
    """Return the figures of what was counted while so many answers came."""
    requests = len(answers_s)
    share = 100 / max(counts["reads"], 1)
    return {
        "requests/s": requests / took_s,
        "CPU ms": counts["cpu_s"] / requests * 1e3,
        "p50 ms": answers_s[requests // 2] * 1e3,
        "p99 ms": answers_s[requests * 99 // 100] * 1e3,
        "calls": counts["served"] / requests,
        "local %": counts["local"] * share,
        "shared %": counts["shared"] * share,
        "miss %": (counts["reads"] - counts["local"] - counts["shared"]) * share,
        "Valkey/s": counts["commands"] / took_s,
        "a request": counts["commands"] / requests,
        "Valkey us": counts["valkey_cpu_s"] / requests * 1e6,
        "other core": (counts["other_cpu_s"] + counts["valkey_cpu_s"]) / took_s,
    }


def main() -> None:
    """Start the upstream, run the rounds, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--gateways", default="1,2,4")
    parser.add_argument("--at-once", type=int, default=100, help="callers of the closed loop")
    parser.add_argument("--per-s", type=float, default=200, help="the steady rate")
    parser.add_argument("--only", choices=("alone", "shared"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sharing = [way == "shared" for way in ("alone", "shared") if arguments.only in (None, way)]
    if True in sharing and not Valkey.is_installed():
        print("neither valkey-server nor redis-server is there: only gateways that are alone are measured")
        sharing = [False]
    if several_cores():
        os.sched_setaffinity(0, {1})
    setups = list(itertools.product(map(int, arguments.gateways.split(",")), sharing))
    loads = (arguments.at_once, None)
    results: dict[tuple[int | None, int, bool], list[dict[str, float]]] = {}
    with slow_upstream(free_port(), LATENCY_MS, RECORDS) as upstream:
        for _, (count, shared), at_once in itertools.product(range(arguments.rounds), setups, loads):
            with running(count, upstream, shared=shared) as setup:
                row = uvloop.run(measure(setup, at_once, arguments.per_s, arguments.seconds))
            results.setdefault((at_once, count, shared), []).append(row)
    for at_once in loads:
        print(f"\n{f'{at_once} callers at once' if at_once else f'{arguments.per_s:g} requests a second'}\n")
        table({key[1:]: rows for key, rows in results.items() if key[0] == at_once})


def table(results: dict[tuple[int, bool], list[dict[str, float]]]) -> None:
    """Print the medians as Markdown."""
    print(f"| gateways | | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 2)}")
    for (count, shared), rows in sorted(results.items(), key=lambda item: (item[0][1], item[0][0])):
        medians = (form.format(statistics.median(row[name] for row in rows)) for name, form in COLUMNS.items())
        print(f"| {count} | {'shared' if shared else 'alone'} | {' | '.join(medians)} |", flush=True)


if __name__ == "__main__":
    main()
