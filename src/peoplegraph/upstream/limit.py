"""Calls per second towards each system: a token bucket, whose waiting counts against the deadline."""

import asyncio
from collections.abc import Mapping

from peoplegraph.errors import TimedOut
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Send


class Bucket:
    """Tokens that come at a steady rate, up to a second's worth; pure, told the time in seconds.

    A token that is not there yet can be had in advance: who takes it waits until it would have come, behind all
    who took theirs before.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._capacity = max(per_second, 1.0)
        self._tokens = self._capacity
        self._at = 0.0

    def __repr__(self) -> str:
        return f"<Bucket {self._tokens:.1f} of {self._capacity:g}>"

    def take(self, now: float, patience_s: float) -> float | None:
        """Take a token and return the seconds to wait for it, or None if that is longer than `patience_s`."""
        self._tokens = min(self._capacity, self._tokens + max(now - self._at, 0) * self._per_second)
        self._at = now
        wait_s = max(1 - self._tokens, 0) / self._per_second
        if wait_s > patience_s:
            return None
        self._tokens -= 1
        return wait_s


class Limit:
    """Holds calls back to the rate of their system; a rate of 0 is none."""

    def __init__(self, send: Send, per_second: Mapping[System, float]) -> None:
        self._send = send
        self._buckets = {system: Bucket(rate) for system, rate in per_second.items() if rate}

    def __repr__(self) -> str:
        return f"<Limit {self._buckets}>"

    async def send(self, call: Call) -> Answer:
        """Send a call when its turn comes; raises `TimedOut` at once if that is behind its deadline."""
        bucket = self._buckets.get(call.system)
        if bucket is not None:
            now = asyncio.get_running_loop().time()
            wait_s = bucket.take(now, call.deadline - now)
            if wait_s is None:
                raise TimedOut(call.system, f"{call.system.title} may not be called any faster", sent=False)
            if wait_s:
                await asyncio.sleep(wait_s)
        return await self._send(call)
