"""Looks once in a while at what is not counted as it happens: the event loop's lag, slots, breakers, the cache."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from peoplegraph.observe import metrics

EVERY_S = 0.25
KEPT = 8
"""How many looks the worst lag is of: two seconds."""

STARVED_S = 1.0
"""The lag from which on the loop has no time for what it should do."""


class Monitor:
    """Knows how late the event loop is; `sample` is called at each look, to set gauges."""

    def __init__(self) -> None:
        self._lags: deque[float] = deque(maxlen=KEPT)

    def __repr__(self) -> str:
        return f"<Monitor lag {self.lag_s:.3f} s>"

    @property
    def lag_s(self) -> float:
        """The worst lag of the last two seconds."""
        return max(self._lags, default=0.0)

    @property
    def is_starved(self) -> bool:
        """Whether the loop has no time for what it should do."""
        return self.lag_s >= STARVED_S

    @asynccontextmanager
    async def watching(self, sample: Callable[[], None]) -> AsyncIterator[None]:
        """Look until the block ends."""
        task = asyncio.create_task(self._watch(sample))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self, sample: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sample()
            due = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self._lags.append(max(loop.time() - due, 0.0))
            metrics.LOOP_LAG.set(self.lag_s)
