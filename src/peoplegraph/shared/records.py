"""Answers that all gateways of a group keep together: what one was told by a system, the others need not ask.

Each is kept with the versions of what it tells of, as they were before it was asked for. A write gives what it
touches new ones, so that nobody finds it any more, however late it was put there.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from time import perf_counter, time

import msgspec
from msgspec.structs import replace

from peoplegraph.observe import metrics
from peoplegraph.shared.group import Group
from peoplegraph.shared.keys import Keys, new_version
from peoplegraph.shared.link import Down, Script
from peoplegraph.shared.seal import Seal, Unreadable
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Send, may_be_kept, validators_of
from peoplegraph.upstream.trail import Source

MAX_BYTES = 512 * 1024
"""The largest body that is kept there; a larger one would hold up what is behind it on the connection."""

CLOCKS_S = 60.0
"""By how much gateways' clocks may differ, and how long whoever controls the store may give out what is over."""


class _Kept(msgspec.Struct, array_like=True):
    headers: dict[str, str]
    body: bytes
    until: float
    """When it is over, by the clock of who put it there: the store's own word for that is not sealed."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


class Records:
    """Answers reads from what the group keeps; `ttl_s` says for how long that is, by system."""

    def __init__(self, send: Send, group: Group, keys: Keys, seal: Seal, ttl_s: Mapping[System, float]) -> None:
        self._send = send
        self._group = group
        self._keys = keys
        self._seal = seal
        self._ttl_s = ttl_s

    def __repr__(self) -> str:
        return f"<Records of {self._group!r}>"

    def send(self, call: Call) -> Awaitable[Answer]:
        """Answer from what is kept, or send the call and keep what comes."""
        ttl_s = self._ttl_s.get(call.system, 0)
        if not call.reads or call.past_caches or not ttl_s or not self._group.is_trusted:
            return self._send(call)
        return self._read(call, ttl_s)

    async def _read(self, call: Call, ttl_s: float) -> Answer:
        asked, began = asyncio.get_running_loop().time(), perf_counter()
        key = self._keys.answer(call, self._group.server, ttl_s)
        versions = [self._keys.everything, *self._keys.versions(call.system, call.tags)]
        try:
            found = await self._group.call(Script.FIND, [key, *versions], new_version(), self._group.version_ms)
        except Down:
            metrics.group_reads(call.system, "down").inc()
            return await self._send(call)
        known, at_ms, *kept = found
        answer = None
        if kept and kept[1] <= ttl_s * 1000:  # the store's clock may have been set back
            answer = self._opened(key + known.decode(), kept[0], time())
        if answer is not None:
            metrics.group_reads(call.system, "hit").inc()
            answer = replace(answer, fresh_until=asked + max(kept[1], 0) / 1000)
            if call.trail is not None:
                call.trail.had(call, Source.CACHE, answer, began)
            return answer
        metrics.group_reads(call.system, "miss").inc()
        answer = await self._send(call)
        if not known:
            return replace(answer, fresh_until=0.0)  # a write may yet take effect
        if may_be_kept(call, answer) and len(answer.body) <= MAX_BYTES:
            value = _encode(_Kept(dict(validators_of(call, answer)), answer.body, time() + ttl_s))
            sealed = known + b"\n" + self._seal.close(value, key + known.decode())
            self._group.ask("SET", key, sealed, "PXAT", at_ms + round(ttl_s * 1000))
        return answer

    def _opened(self, name: str, sealed: bytes, now: float) -> Answer | None:
        try:
            kept = _decode(self._seal.open(sealed, name))
        except (Unreadable, msgspec.MsgspecError):
            return None
        return Answer(200, kept.headers, kept.body) if now < kept.until + CLOCKS_S else None
