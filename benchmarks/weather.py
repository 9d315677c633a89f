"""What the soak lets happen: faults of the emulated systems, and a Valkey that hangs or dies; and when each was."""

import asyncio
import itertools
import json
import time
import urllib.request
from dataclasses import dataclass

from processes import Valkey

FAULTS = (
    "error,status=500",
    "garbage",
    "reset,rate=0.5",
    "latency,ms=1500,jitter_ms=1500",
    "error,status=503,rate=0.5",
    "shape",
    "truncate,rate=0.5",
    "drip,ms=20",
    "reset,when=after",
    "throttle",
    "refuse",
    "error,status=502,rate=0.3",
)
SYSTEMS = ("COLLECTIONS", "DISPUTES", "RPM")
EVERY = "EVERY SYSTEM"
STARVED_S = 0.5
"""How late the emulated systems may be by themselves: where the machine is too busy for them, calls time out."""

ON_S = 8.0
GRACE_S = 12.0
"""How long errors may come when a fault is over: a circuit breaker opens for 5 s, and then once at most for 10."""

CALM_S = GRACE_S + 8
HEALTHY_S, HANGS_S, DEAD_S = 11.0, 5.0, 5.0
"""How long Valkey is left alone, hangs, and is dead: together no multiple of the faults' time, so that all meet."""

UNAVAILABLE, TIMEOUT, BAD = "UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "UPSTREAM_BAD_RESPONSE"
CODES = {"garbage": BAD, "shape": BAD, "throttle": "UPSTREAM_RATE_LIMITED"}
"""What a fault of some kinds may be answered with, beside what any may."""

SLOW = ("latency", "drip")
"""The kinds that take the time of other systems' calls, too, where those wait for theirs."""


@dataclass
class Spell:
    """A fault of a system, and when it was."""

    system: str
    kind: str
    began: float
    ended: float = float("inf")

    def meets(self, began: float, ended: float) -> bool:
        """Whether an answer may tell of it that was waited for from `began` to `ended`."""
        return self.began <= ended and began <= self.ended + GRACE_S


class Weather:
    """Switches the faults, and knows which errors an answer may have had."""

    def __init__(self, control_url: str) -> None:
        self._control_url = control_url
        self.spells: list[Spell] = []
        self._valkey = ("", 0.0)
        """How Valkey is, and since when."""

    def __str__(self) -> str:
        now = time.monotonic()
        faults = [f"{s.system}:{s.kind}" for s in self.spells if s.meets(now, now)] or ["calm"]
        state, since = self._valkey
        return " ".join([*faults, f"Valkey {state} for {now - since:.1f} s"] if state else faults)

    async def run(self) -> None:
        """Let a fault strike each system, then none, then others, until cancelled."""
        for turn in itertools.count():
            kinds = {system: FAULTS[(turn + 4 * n) % len(FAULTS)] for n, system in enumerate(SYSTEMS)}
            now = time.monotonic()
            spells = [Spell(system, kind.partition(",")[0], now) for system, kind in kinds.items()]
            self.spells += spells
            await self._switch([f"{system.lower()}:{kind}" for system, kind in kinds.items()])
            await asyncio.sleep(ON_S)
            await self.clear()
            await asyncio.sleep(CALM_S)

    async def disturb(self, valkey: Valkey) -> None:
        """Let Valkey hang, go on, die and come back empty, until cancelled; it is well behind that."""
        try:
            while True:
                self._valkey = "well", time.monotonic()
                await asyncio.sleep(HEALTHY_S)
                self._valkey = "hangs", time.monotonic()
                valkey.pause()
                await asyncio.sleep(HANGS_S)
                valkey.resume()
                self._valkey = "goes on", time.monotonic()
                await asyncio.sleep(HEALTHY_S)
                self._valkey = "dead", time.monotonic()
                valkey.kill()
                await asyncio.sleep(DEAD_S)
                await asyncio.to_thread(valkey.start)
        finally:
            if valkey.is_running:
                valkey.resume()
            else:
                valkey.start()

    async def watch(self) -> None:
        """Take note of each time when the machine is too busy for the emulated systems, until cancelled."""
        while True:
            began = time.monotonic()
            await asyncio.to_thread(self._ask)
            if (now := time.monotonic()) > began + STARVED_S:
                self.spells.append(Spell(EVERY, "starved", began, now))
            await asyncio.sleep(STARVED_S)

    async def clear(self) -> None:
        """Switch all faults off."""
        await self._switch([])
        for spell in self.spells:
            spell.ended = min(spell.ended, time.monotonic())

    def may_be(self, code: str, system: str, began: float, ended: float, *, writes: bool) -> bool:
        """Whether an answer that was waited for from `began` to `ended` may have had an error."""
        met = [spell for spell in self.spells if spell.meets(began, ended)]
        if code == TIMEOUT and any(spell.kind in SLOW for spell in met):
            return True
        kinds = [spell.kind for spell in met if spell.system in {system, EVERY}]
        unknown = {"UPSTREAM_OUTCOME_UNKNOWN"} if writes else set()
        return bool(kinds) and code in {UNAVAILABLE, TIMEOUT, *unknown, *(CODES.get(k, "") for k in kinds)}

    async def _switch(self, faults: list[str]) -> None:
        await asyncio.to_thread(self._ask, json.dumps(faults).encode())

    def _ask(self, faults: bytes | None = None) -> None:
        """Have the switch of the faults answer, and switch them if they are given."""
        request = urllib.request.Request(self._control_url, faults, method="PUT" if faults else "GET")
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert reply.status == 200
