"""What one caller may do in a time: requests, upstream calls, and requests at once."""

import asyncio
import ipaddress
import math
from collections import OrderedDict
from functools import lru_cache
from typing import Protocol

from peoplegraph.access.caller import Caller

MAX_CALLERS = 10_000
"""How many callers are remembered; of those with nothing under way the one that asked longest ago is forgotten."""


class TooMany(Exception):
    """A caller asks for more than it may; the message goes to it."""

    def __init__(self, message: str, limit: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.limit = limit
        """Which limit it is, by its name in the metrics."""
        self.retry_after_s = retry_after_s


class Bucket:
    """A token bucket: full at first, filled evenly; pure, told the time in seconds.

    What is taken is taken, and may leave a debt: who begins with something left may finish.
    """

    def __init__(self, name: str, most: float, window_s: float, now: float) -> None:
        self.name = name
        self._rate = most / window_s
        self.most = max(most, 1.0)
        self.window_s = self.most / self._rate  # of less than one in its window: one, in a longer one
        self._left = self.most
        self._at = now
        self.untold = 0
        """What was taken here since the group was told."""

    def __repr__(self) -> str:
        return f"<Bucket {self.name} {self._left:.1f} of {self.most:g}>"

    def left(self, now: float) -> float:
        """Return how much may be taken."""
        self._left = min(self.most, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left

    def take(self, now: float, number: int = 1) -> None:
        """Take some."""
        self._left = self.left(now) - number
        self.untold += number

    def know(self, now: float, left: float) -> None:
        """Take note of what the group has left; it does not know of what was taken here meanwhile."""
        self._left = left - self.untold
        self._at = now

    def wait_s(self, now: float) -> float:
        """Return the seconds until one may be taken."""
        return max(0.0, (1 - self.left(now)) / self._rate)

    def reset_s(self, now: float) -> float:
        """Return the seconds until it is full again, if nothing is taken."""
        return (self.most - self.left(now)) / self._rate


class Quota:
    """One caller's; `who` tells it from others."""

    def __init__(
        self, requests: Bucket | None, calls: Bucket | None, at_once: int, who: tuple[str, str] = ("", "")
    ) -> None:
        self.who = who
        self.requests = requests
        self.calls = calls
        self.has_rates = requests is not None or calls is not None
        self.at_once = at_once
        self.under_way = 0
        self.sockets = 0
        """WebSockets that are open."""

    def __repr__(self) -> str:
        return f"<Quota {self.requests}, {self.calls}, {self.under_way} under way>"

    def begin(self, now: float) -> None:
        """Count a request, until its `end`. Raises `TooMany`, and then it is not counted."""
        if self.under_way >= self.at_once:
            raise TooMany(
                f"{self.under_way} requests are under way, and there may be no more at once", "at_once", 1
            )
        if self.has_rates:
            self._take(now)
        self.under_way += 1

    def _take(self, now: float) -> None:
        for bucket, what in ((self.requests, "requests"), (self.calls, "upstream calls")):
            if bucket is not None and bucket.left(now) < 1:
                message = f"There may be {bucket.most:g} {what} in {bucket.window_s:g} s"
                raise TooMany(message, bucket.name, bucket.wait_s(now))
        if self.requests is not None:
            self.requests.take(now)

    def count(self, now: float, requests: int) -> None:
        """Count more requests, that came in one. Raises `TooMany` where there may not be so many at once."""
        if self.under_way + requests > self.at_once:
            raise TooMany(f"There may be {self.at_once} requests at once", "at_once", 1)
        if self.requests is not None:
            self.requests.take(now, requests)

    def end(self) -> None:
        """Take note that a request is over."""
        self.under_way -= 1

    def headers(self, now: float) -> dict[str, str]:
        """Return `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers-10 has them."""
        buckets = [bucket for bucket in (self.requests, self.calls) if bucket is not None]
        return {
            "RateLimit-Policy": ", ".join(
                f'"{b.name}";q={math.floor(b.most)};w={math.ceil(b.window_s)}' for b in buckets
            ),
            "RateLimit": ", ".join(
                f'"{b.name}";r={max(0, math.floor(b.left(now)))};t={math.ceil(b.reset_s(now))}' for b in buckets
            ),
        }


class Group(Protocol):
    """The other gateways that a caller may ask."""

    async def ask(self, quota: Quota) -> None:
        """Have the rates be as all gateways together count them, before a request begins."""

    def tell(self, quota: Quota) -> None:
        """Tell what was taken since."""


class Quotas:
    """The quotas of all callers, counted in this process, and with those of a `group`."""

    def __init__(
        self,
        *,
        requests_per_second: float,
        calls_per_minute: float,
        at_once: int,
        most: int = MAX_CALLERS,
        group: Group | None = None,
    ) -> None:
        self._most = most
        self._group = group
        self._requests_per_second = requests_per_second
        self._calls_per_minute = calls_per_minute
        self._at_once = at_once
        self._quotas: OrderedDict[tuple[str, str], Quota] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Quotas of {len(self._quotas)} callers>"

    def of(self, caller: Caller, address: str, now: float) -> Quota:
        """Return a caller's quota; those who came without a credential are told apart by their address."""
        key = (caller.kind, caller.name if caller.kind != "open" else network(address))
        quota = self._quotas.get(key)
        if quota is None:
            quota = self._quotas[key] = self._made(now, key)
            if len(self._quotas) > self._most:
                self._forget_one()
        else:
            self._quotas.move_to_end(key)
        return quota

    async def begin(self, quota: Quota) -> None:
        """Count a request, until its `end`. Raises `TooMany`, and then it is not counted."""
        if self._group is not None and quota.has_rates:
            await self._group.ask(quota)
        quota.begin(asyncio.get_running_loop().time())

    def end(self, quota: Quota) -> None:
        """Take note that a request is over."""
        quota.end()
        if self._group is not None and quota.has_rates:
            self._group.tell(quota)

    def _made(self, now: float, who: tuple[str, str]) -> Quota:
        requests = Bucket("requests", self._requests_per_second, 1, now) if self._requests_per_second else None
        calls = Bucket("calls", self._calls_per_minute, 60, now) if self._calls_per_minute else None
        return Quota(requests, calls, self._at_once, who)

    def _forget_one(self) -> None:
        for key, quota in self._quotas.items():
            if not quota.under_way and not quota.sockets:
                del self._quotas[key]
                return


@lru_cache(maxsize=1000)
def network(address: str) -> str:
    """Return what one machine has of addresses: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
