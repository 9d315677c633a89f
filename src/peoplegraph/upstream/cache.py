"""Answers kept for a while, across requests, and dropped by what writes to them.

The key is method, target, body and *credential*. A write drops what it touches, by the tags that both calls carry,
before its own answer is given out; an answer to a read that began before that is never kept. So a read that starts
after a write was answered sees nothing older, whatever else was under way.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from peoplegraph.errors import TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Credential, Send

MAX_BYTES = 64 * 1024 * 1024
"""The memory that answers may take together, roughly."""

ENTRY_BYTES = 1024
"""What an entry takes beside its body, roughly."""

Key = tuple[System, str, str, bytes | None, Credential]


@dataclass(slots=True)
class Entry:
    """An answer, fresh until a time on the loop's clock."""

    answer: Answer
    tags: frozenset[str]
    fresh_until: float

    @property
    def size(self) -> int:
        """The bytes that it counts for."""
        return len(self.answer.body) + ENTRY_BYTES

    def validators(self) -> dict[str, str]:
        """Return the headers that ask the upstream whether the answer still holds; none if it gave no validator."""
        headers = self.answer.headers
        names = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
        return {ask: headers[given] for ask, given in names if given in headers}


class Store:
    """Entries by key, the least recently used dropped first; bounded in bytes."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Key, Entry] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Store {len(self._entries)} entries, {self._bytes:,} of {self._max_bytes:,} bytes>"

    def get(self, key: Key) -> Entry | None:
        """Return an entry, fresh or not."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an entry, at the cost of others where there is no room."""
        self.drop(key)
        if entry.size > self._max_bytes:
            return
        self._entries[key] = entry
        self._bytes += entry.size
        while self._bytes > self._max_bytes:
            self.drop(next(iter(self._entries)))

    def drop(self, key: Key) -> None:
        """Drop an entry, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size

    def drop_tagged(self, system: System, tags: frozenset[str]) -> None:
        """Drop what a write has touched, whoever's it is."""
        for key in [k for k, entry in self._entries.items() if k[0] is system and entry.tags & tags]:
            self.drop(key)


class Cache:
    """Answers reads from what is kept; `ttl_s` says for how long, and 0 not at all.

    With `stale_if_error_s` an answer that is no longer fresh is given out, marked, where the upstream fails.
    """

    def __init__(self, send: Send, ttl_s: Mapping[System, float], stale_if_error_s: float = 0) -> None:
        self._send = send
        self._ttl_s = ttl_s
        self._stale_if_error_s = stale_if_error_s
        self._store = Store()
        self._writes = dict.fromkeys(System, 0)
        """How many writes to each system have ended: what a read began before another one ended is not kept."""

    def __repr__(self) -> str:
        return f"<Cache {self._store!r}>"

    async def send(self, call: Call) -> Answer:
        """Answer from what is kept, or send the call and keep what comes."""
        if not call.reads:
            try:
                return await self._send(call)
            finally:
                self._writes[call.system] += 1
                self._store.drop_tagged(call.system, call.tags)
        ttl_s = self._ttl_s.get(call.system, 0)
        if call.past_caches or not ttl_s:
            return await self._send(call)
        loop = asyncio.get_running_loop()
        key = (call.system, call.method, call.target, call.body, call.credential)
        entry = self._store.get(key)
        if entry is not None and loop.time() < entry.fresh_until:
            return entry.answer
        return await self._fetch(key, call, entry, ttl_s)

    async def _fetch(self, key: Key, call: Call, old: Entry | None, ttl_s: float) -> Answer:
        loop = asyncio.get_running_loop()
        writes = self._writes[call.system]
        asked = loop.time()
        conditional = old.validators() if old else {}
        try:
            answer = await self._send(
                replace(call, headers={**call.headers, **conditional}) if conditional else call
            )
        except (Unavailable, TimedOut):
            stale = self._stale(key, asked)
            if stale is None:
                raise
            return stale
        if answer.status in (429, 500, 502, 503, 504):
            return self._stale(key, asked) or answer
        if answer.status == 304 and old is not None and conditional:
            answer = old.answer
        if self._writes[call.system] == writes and _may_be_kept(call, answer):
            self._store.put(key, Entry(answer, call.tags, asked + ttl_s))
        return answer

    def _stale(self, key: Key, now: float) -> Answer | None:
        """Return an answer that is no longer fresh, marked, if it may still do in need."""
        entry = self._store.get(key)
        if entry is None or now >= entry.fresh_until + self._stale_if_error_s:
            return None
        return replace(entry.answer, stale=True)


def _may_be_kept(call: Call, answer: Answer) -> bool:
    directives = answer.headers.get("cache-control", "").lower()
    return answer.status == 200 and "no-store" not in directives and call.is_success(answer)
