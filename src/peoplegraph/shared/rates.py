"""What one caller may do in a time, counted for the whole group."""

import asyncio

from peoplegraph.access.quotas import Bucket, Quota
from peoplegraph.shared.group import Group
from peoplegraph.shared.keys import Keys
from peoplegraph.shared.link import Down, Script


class Rates:
    """Keeps each caller's buckets in the store; those in this process go on alone while there is none."""

    def __init__(self, group: Group, keys: Keys) -> None:
        self._group = group
        self._keys = keys

    def __repr__(self) -> str:
        return f"<Rates of {self._group!r}>"

    async def ask(self, quota: Quota) -> None:
        """Have the buckets be as the group knows them, and take the request there that is about to begin here."""
        try:
            left = [float(each) for each in await self._take(quota, 1)]
        except Down:
            return
        now = asyncio.get_running_loop().time()
        has_taken = True
        for bucket, known in zip((quota.requests, quota.calls), left, strict=True):
            if bucket is not None:
                bucket.know(now, known)
                has_taken = has_taken and known >= 1
        if has_taken and quota.requests is not None:
            quota.requests.untold -= 1  # it is told in advance

    def tell(self, quota: Quota) -> None:
        """Tell what was taken since; nobody waits for it."""
        if any(bucket is not None and bucket.untold for bucket in (quota.requests, quota.calls)):
            self._take(quota, 0)

    def _take(self, quota: Quota, wanted: int) -> "asyncio.Future[list[bytes]]":
        """Tell what was taken, and take what is wanted; what the store was not there for is never told."""
        numbers: list[float] = []
        for bucket in (quota.requests, quota.calls):
            numbers += _numbers(bucket)
            if bucket is not None:
                bucket.untold = 0
        return self._group.call(Script.TAKE, [self._keys.caller(*quota.who)], wanted, *numbers)


def _numbers(bucket: Bucket | None) -> tuple[float, float, float]:
    """Return what a bucket holds, in how many milliseconds it fills, and what was taken from it."""
    return (0, 1, 0) if bucket is None else (bucket.most, bucket.window_s * 1000, bucket.untold)
