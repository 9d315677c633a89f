"""Two gateways for a while, with faults of what is behind them coming and going: every answer is checked.

    python benchmarks/soak.py [--minutes 20] [--per-s 30] [--alone] [--seed 1]

The emulated systems fail in turns; Valkey (`--alone` does without) hangs, dies, and comes back empty. An answer has
the right data for the key asked for, or a documented error of a system that fails or did so some seconds ago. What
was written through one gateway is read through all at once. In the end nothing has grown, and nothing is left open.
Exit code 1 where something was wrong.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from client import Client, steadily
from processes import (
    COMMAND,
    Valkey,
    are_together,
    free_port,
    gateway,
    metrics,
    resident_mb,
    sockets,
    started,
    total,
    wait_until_ready,
)
from truth import Place, Question, Truth, differences
from weather import EVERY, GRACE_S, Weather

GATEWAYS = 2
TTL_S = 2.0
DEADLINE_S = 5.0
WRITES = 0.1
"""The share of what is asked that writes; each write is read again through all gateways."""

WARM = 0.3
"""The share of the time behind which memory should be what it will be."""

GROWTH_MB = 8.0
"""How much more memory a gateway may have in the end than when it was warm."""

IDLE_S = 75.0
"""How long what is open may stay so: an idle connection 15 s and as long again unseen, an unanswered write 60 s."""

CHECKED = ("reads", "writes: done", "reads of what was just written")
"""What there must have been for this to say anything."""

NOT_DONE = {"UPSTREAM_UNAVAILABLE", "UPSTREAM_RATE_LIMITED", "UPSTREAM_TIMEOUT"}
"""The errors of a write that say that nothing was written."""


@dataclass
class Notes:
    """What was seen, and what was wrong."""

    weather: Weather
    began: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    suspects: list[tuple[str, Callable[[], bool]]] = field(default_factory=list)
    memory: list[list[float]] = field(default_factory=list)
    """Of each gateway, as often as was looked."""

    def suspect(self, what: str, may_be: Callable[[], bool]) -> None:
        """Take note of what is wrong unless it `may_be`, by what is known of the weather now or in the end."""
        if not may_be():
            self.suspects.append((self._line(what), may_be))

    def convict(self) -> None:
        """Complain of what was suspected, and may not be."""
        for line, may_be in self.suspects:
            if not may_be():
                self.wrong.append(line)
                print(line, flush=True)

    def complain(self, what: str) -> None:
        """Take note that something was wrong."""
        self.wrong.append(self._line(what))
        print(self.wrong[-1], flush=True)

    def _line(self, what: str) -> str:
        return f"{time.monotonic() - self.began:7.1f} s, {self.weather}: {what}"


class Soak:
    """Asks the gateways, and judges what they answer."""

    def __init__(self, urls: list[str], notes: Notes, dice: random.Random, *, shared: bool) -> None:
        self._clients = [Client(url) for url in urls]
        self._notes = notes
        self._dice = dice
        self._shared = shared
        self._turns = itertools.cycle(range(len(urls)))
        self._numbers = itertools.count(1)
        lag_s = 0 if shared else TTL_S + DEADLINE_S
        self.truth = Truth(len(urls), lag_s, dice)

    async def ask(self, _: float) -> None:
        """Read something, or write something and read it again."""
        if self._dice.random() < WRITES:
            await self.write_and_read()
        else:
            await self.read(next(self._turns), self.truth.question())

    async def read(self, gateway: int, question: Question) -> None:
        """Ask one gateway, and look at its answer."""
        may_be = {path: register.read(gateway) for path, register in question.titles.items()}
        data, _ = await self._answer(gateway, question, writes=False, may_be=may_be)
        self._notes.counts["reads"] += data is not None
        for path, register in question.titles.items():
            register.forget(may_be[path])

    async def write_and_read(self) -> None:
        """Read a record through each gateway, so that each keeps it; write it through one; read it through each."""
        idle = self.truth.idle_register()
        if idle is None:
            return
        kind, key, register = idle
        everywhere = range(len(self._clients))
        await asyncio.gather(*(self.read(each, self.truth.of(kind, key)) for each in everywhere))
        if register.is_being_written:
            return
        gateway, title = next(self._turns), f"Title {next(self._numbers)}"
        register.begin(title)
        data, codes = await self._answer(gateway, self.truth.write(kind, key, title), writes=True, may_be={})
        if data is None or codes:
            register.failed(title, unknown=not codes <= NOT_DONE or not codes)
            self._notes.counts[f"writes: {' '.join(sorted(codes)) or 'no answer'}"] += 1
            return
        register.done(title, gateway, everywhere if self._shared else [gateway])
        self._notes.counts["writes: done"] += 1
        self._notes.counts["reads of what was just written"] += sum(map(register.is_strict, everywhere))
        await asyncio.gather(*(self.read(each, self.truth.of(kind, key)) for each in everywhere))

    async def _answer(
        self, gateway: int, question: Question, *, writes: bool, may_be: dict[Place, set[str]]
    ) -> tuple[Any, set[str]]:
        """Return an answer's data, if there was one, and the codes of its errors; complain of what is wrong."""
        began, name = time.monotonic(), f"gateway {gateway}, {question}"
        try:
            status, body = await self._clients[gateway].ask(question.body)
        except OSError as error:
            self._notes.complain(f"{name}: {type(error).__name__} {error}")
            return None, set()
        ended = time.monotonic()
        if status != 200:
            self._notes.complain(f"{name}: {status} {body[:500].decode()}")
            return None, set()
        answer = json.loads(body)
        failed, codes, strange = set(), set(), Counter[tuple[str, str]]()
        for each in answer.get("errors", ()):
            code, system = each["extensions"]["code"], each["extensions"].get("system", "")
            failed.add(tuple(each.get("path", ())))
            codes.add(code)
            self._notes.counts[f"errors: {code}"] += 1
            strange[code, system] += 1
        for (code, system), count in strange.items():
            what = f"{name} after {ended - began:.2f} s: {count} times {code} of {system or 'nobody'}"
            self._notes.suspect(
                what, partial(self._notes.weather.may_be, code, system, began, ended, writes=writes)
            )
        for place, difference in differences(answer["data"], question.expected, failed, may_be):
            register = question.titles.get(place, "")
            self._notes.complain(f"{name} after {ended - began:.2f} s: {place} {difference} {register}")
        return answer["data"], codes

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()


@dataclass(frozen=True)
class Setup:
    """What runs."""

    gateways: list[subprocess.Popen[bytes]]
    urls: list[str]
    logs: list[Path]
    control_url: str
    valkey: Valkey | None


@contextlib.contextmanager
def running(*, shared: bool) -> Iterator[Setup]:
    """Start the emulated systems, Valkey if it is wanted, and the gateways over them."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        said = stack.enter_context((folder / "sandbox.log").open("wb"))  # what a fault cuts off is an error there
        command = [COMMAND, "sandbox", "--port", "0"]
        sandbox = stack.enter_context(started(command, stdout=subprocess.PIPE, stderr=said))
        settings, control_url = read_settings(sandbox)
        settings |= {f"{name}_CACHE_TTL_S": str(TTL_S) for name in ("COLLECTIONS", "DISPUTES", "RPM")}
        settings |= {"DEADLINE_S": str(DEADLINE_S)}
        valkey = stack.enter_context(Valkey(folder).running()) if shared else None
        settings |= valkey.settings if valkey else {}
        gateways, urls, logs = [], [], []
        for number in range(GATEWAYS):
            port, log = free_port(), folder / f"{number}.log"
            gateways.append(stack.enter_context(gateway(settings, port, log)))
            urls.append(f"http://127.0.0.1:{port}")
            logs.append(log)
            wait_until_ready(urls[-1], log)
        yield Setup(gateways, urls, logs, control_url, valkey)


def read_settings(sandbox: "subprocess.Popen[bytes]") -> tuple[dict[str, str], str]:
    """Return what `peoplegraph sandbox` prints: the settings for a gateway, and where faults are switched."""
    assert sandbox.stdout is not None
    settings: dict[str, str] = {}
    for raw in sandbox.stdout:
        line = raw.decode().strip()
        if line.startswith("#"):
            return settings, line.split()[-1]
        name, _, value = line.partition("=")
        settings[name.removeprefix("PEOPLEGRAPH_")] = value
    sys.exit("the emulated systems did not start")


async def soak(setup: Setup, seconds: float, per_s: float, dice: random.Random) -> Notes:
    """Load the gateways for so long, and look at what is left when they are idle."""
    notes = Notes(Weather(setup.control_url))
    asking = Soak(setup.urls, notes, dice, shared=setup.valkey is not None)
    await settle(setup, notes, None)
    before = [sockets(process.pid) for process in setup.gateways]
    print(f"at rest: {told(setup)}", flush=True)
    events = [notes.weather.run(), notes.weather.watch(), watch(setup, notes)]
    if setup.valkey is not None:
        events.append(notes.weather.disturb(setup.valkey))
    happening = [asyncio.create_task(event) for event in events]
    await steadily(asking.ask, per_s, seconds)
    for task in happening:
        task.cancel()
    for outcome in await asyncio.gather(*happening, return_exceptions=True):
        if not isinstance(outcome, asyncio.CancelledError):
            notes.complain(f"what should happen did not: {outcome!r}")
    await notes.weather.clear()
    asking.close()
    await settle(setup, notes, before)
    notes.wrong += [f"there were no {what}" for what in CHECKED if not notes.counts[what]]
    print(f"at rest again: {told(setup)}", flush=True)
    notes.convict()
    if starved := [spell for spell in notes.weather.spells if spell.system == EVERY]:
        print(
            f"the machine was too busy {len(starved)} times, and errors did not count for {GRACE_S:g} s each time"
        )
    return notes


async def watch(setup: Setup, notes: Notes) -> None:
    """Take note of the memory, until cancelled."""
    while True:
        notes.memory.append([resident_mb(process.pid) for process in setup.gateways])
        await asyncio.sleep(1)


async def settle(setup: Setup, notes: Notes, before: list[int] | None) -> None:
    """Wait until nothing is under way, and as few sockets are open as before; complain if that never comes."""
    until = time.monotonic() + IDLE_S
    while left := await asyncio.to_thread(lambda: list(open_still(setup, before))):
        if time.monotonic() > until:
            notes.complain(f"left open: {', '.join(left)}")
            return
        await asyncio.sleep(1)


def open_still(setup: Setup, before: list[int] | None) -> Iterator[str]:
    """Return what is not as it should be: calls under way, sockets that were not there before, gateways apart."""
    if setup.valkey is not None and not are_together(setup.urls):
        yield "the gateways do not find each other"
    for number, (process, url) in enumerate(zip(setup.gateways, setup.urls, strict=True)):
        found = metrics(url)
        for name in ("slots_in_use", "calls_waiting"):
            if count := total(found, f"peoplegraph_upstream_{name}"):
                yield f"{name} of gateway {number}: {count:g}"
        if before is not None and (more := sockets(process.pid) - before[number]) > 0:
            yield f"sockets of gateway {number}: {more} more"


def told(setup: Setup) -> str:
    """Return what the gateways take."""
    each = (f"{resident_mb(process.pid):.0f} MB, {sockets(process.pid)} sockets" for process in setup.gateways)
    return "; ".join(each)


def judge_memory(notes: Notes) -> None:
    """Complain of a gateway that has grown since it was warm."""
    warm_at = int(len(notes.memory) * WARM)
    for number, series in enumerate(zip(*notes.memory, strict=True)):
        width = max(3, len(series) // 20)
        warm, last = statistics.median(series[warm_at : warm_at + width]), statistics.median(series[-width:])
        parts = (statistics.median(series[at : at + width]) for at in range(0, len(series) - width + 1, width))
        print(f"gateway {number}, MB: {' '.join(f'{part:.1f}' for part in parts)}; {max(series):.1f} at most")
        if last > warm + GROWTH_MB:
            notes.complain(f"gateway {number} grew from {warm:.1f} to {last:.1f} MB, more than {GROWTH_MB:g}")


def end(setup: Setup, notes: Notes) -> None:
    """End the gateways; complain of one that does not end well, and of what is in the logs."""
    for number, (process, log) in enumerate(zip(setup.gateways, setup.logs, strict=True)):
        process.terminate()
        if code := process.wait(60):
            notes.complain(f"gateway {number} ended with {code}")
        for line in log.read_text().splitlines():
            if re.search(r'Traceback|"level": ?"(error|critical)"|never retrieved|was destroyed', line):
                notes.complain(f"gateway {number} logged {line[:200]} … {line[-1500:]}")


def main() -> None:
    """Start everything, soak, and tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--per-s", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="without Valkey: each gateway keeps what it keeps")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    shared = not arguments.alone and Valkey.is_installed()
    if not shared:
        print(
            "without Valkey" if arguments.alone else "neither valkey-server nor redis-server is there: without it"
        )
    dice = random.Random(arguments.seed)
    with running(shared=shared) as setup:
        notes = uvloop.run(soak(setup, arguments.minutes * 60, arguments.per_s, dice))
        judge_memory(notes)
        end(setup, notes)
    for what, count in sorted(notes.counts.items()):
        print(f"{count:8,} {what}")
    if notes.wrong:
        sys.exit(f"{len(notes.wrong)} things were wrong; the first of them:\n" + "\n".join(notes.wrong[:20]))
    print("nothing was wrong")


if __name__ == "__main__":
    main()
