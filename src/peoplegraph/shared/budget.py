"""One budget of upstream calls for the whole group: each gateway has a part, by what it needs."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from peoplegraph.systems import System
from peoplegraph.upstream.limit import Limits, Load

LOOKED_BACK = 4
"""For how many beats what was needed counts, and for how many a larger part was granted before calls start faster:
for more than a second, in which starts are counted."""


class Budget:
    """This gateway's part of each system's limits, which are the group's; pure but for what it is told to call.

    `load` tells what is under way; `resize` sets how much may be.
    """

    def __init__(
        self,
        limits: Mapping[System, Limits],
        load: Callable[[System], Load],
        resize: Callable[[System, Limits], None],
    ) -> None:
        self._limits = limits
        self._load = load
        self._resize = resize
        self._needs: dict[System, deque[int]] = {system: deque(maxlen=LOOKED_BACK) for system in limits}
        self._shares: dict[System, deque[int]] = {system: deque(maxlen=LOOKED_BACK) for system in limits}

    def __repr__(self) -> str:
        return f"<Budget {', '.join(f'{system.name} {self.share(system)}' for system in self._limits)}>"

    @property
    def has_shares(self) -> bool:
        """Whether it was ever told a part."""
        return any(self._shares.values())

    def share(self, system: System) -> int:
        """Return how many calls may be under way."""
        shares = self._shares.get(system)
        return shares[-1] if shares else self._limits[system].concurrency

    def wants(self) -> list[str | int]:
        """Return for each system its name, the group's bound, what this gateway needs, and what it holds."""
        wants: list[str | int] = []
        for system, limits in self._limits.items():
            load = self._load(system)
            self._needs[system].append(load.in_use + load.waiting)
            held = max(load.in_use, self.share(system) if self._shares[system] else 0)
            wants += [system.name, limits.concurrency, max(1, *self._needs[system]), held]
        return wants

    def take(self, shares: Sequence[int], *, may_grow: bool) -> None:
        """Take the part that is granted of each system."""
        for (system, limits), granted in zip(self._limits.items(), shares, strict=True):
            share = min(granted, limits.concurrency)
            if not may_grow:
                share = min(share, self.share(system))
            self._shares[system].append(share)
            lately = min(self._shares[system])
            pace = limits.calls_per_second * lately / limits.concurrency
            self._resize(system, Limits(share, pace))
