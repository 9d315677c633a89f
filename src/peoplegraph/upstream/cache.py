"""Answers kept for a while, across requests, and dropped by what writes to them, here or in the group.

The key is method, target, body and *credential*. A write drops what it touches, by the tags that both calls carry,
before its own answer is given out; an answer to a read of it that began before that is never kept. So a read that
starts after a write was answered sees nothing older, whatever else was under way. Where it is not known whether a
write took effect, or when it will, what it touches is not kept for as long as its answer may yet come.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from peoplegraph.errors import OutcomeUnknown, TimedOut, Unavailable, forget_where
from peoplegraph.observe import metrics
from peoplegraph.systems import System
from peoplegraph.upstream.call import (
    LATE_WRITE_S,
    VALIDATORS,
    Answer,
    Call,
    Key,
    Others,
    Send,
    Write,
    forbids_keeping,
    leaves_open,
    may_be_kept,
    validators_of,
)
from peoplegraph.upstream.trail import Source

MAX_BYTES = 64 * 1024 * 1024
"""The memory that answers may take together, roughly."""

ENTRY_BYTES = 1024
"""What an entry takes beside its texts, roughly."""

OPEN_S = 2 * LATE_WRITE_S
"""How long it is open what a write without an answer has come to: its answer may come, and reads take time."""


@dataclass(slots=True)
class Entry:
    """An answer, fresh until a time on the loop's clock; of its headers only the validators are kept."""

    answer: Answer
    tags: frozenset[str]
    fresh_until: float

    def size(self, key: Key) -> int:
        """Return the bytes that it counts for."""
        texts = (*self.answer.headers.values(), *self.tags, key[2], key[3] or b"", self.answer.body)
        return ENTRY_BYTES + sum(map(len, texts))


class Store:
    """Entries by key, the least recently used dropped first; bounded in bytes."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self._tagged: defaultdict[tuple[System, str], set[Key]] = defaultdict(set)

    @property
    def bytes(self) -> int:
        """The memory that the entries take together, roughly."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

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
        size = entry.size(key)
        if size > self._max_bytes:
            return
        self._entries[key] = entry
        for tag in entry.tags:
            self._tagged[key[0], tag].add(key)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self.drop(next(iter(self._entries)))

    def drop(self, key: Key) -> None:
        """Drop an entry, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._bytes -= entry.size(key)
        for tag in entry.tags:
            keys = self._tagged[key[0], tag]
            keys.discard(key)
            if not keys:
                del self._tagged[key[0], tag]

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self._tagged.clear()
        self._bytes = 0

    def drop_touched(self, write: Write) -> None:
        """Drop what a write has touched, whoever's it is."""
        for tag in write.tags:
            for key in list(self._tagged.get((write.system, tag), ())):
                self.drop(key)


@dataclass(slots=True, eq=False)
class _Fetch:
    """A read under way; `spoiled` if something that it tells of was written meanwhile."""

    call: Call
    spoiled: bool = False


class Cache:
    """Answers reads from what is kept; `ttl_s` says for how long, and 0 not at all.

    With `stale_if_error_s` an answer that is no longer fresh is given out, marked, where the upstream fails. What
    `others` write is to be told by `touched`; while they cannot be trusted to, nothing is kept.
    """

    def __init__(
        self, send: Send, ttl_s: Mapping[System, float], stale_if_error_s: float = 0, others: Others | None = None
    ) -> None:
        self._send = send
        self._others = others
        self._telling: set[asyncio.Task[None]] = set()
        self._ttl_s = ttl_s
        self._stale_if_error_s = stale_if_error_s
        self.store = Store()
        self._fetches: set[_Fetch] = set()
        self._open: dict[tuple[System, str], float] = {}
        """What a write may yet change, by tag, and until when."""

    def __repr__(self) -> str:
        return f"<Cache {self.store!r}, {len(self._fetches)} fetches>"

    def send(self, call: Call) -> Awaitable[Answer]:
        """Answer from what is kept, or send the call and keep what comes."""
        if not call.reads:
            return self._write(call)
        ttl_s = self._ttl_s.get(call.system, 0)
        if call.past_caches or not ttl_s:
            return self._send(call)
        return self._read(call, ttl_s)

    async def _read(self, call: Call, ttl_s: float) -> Answer:
        trusts = self._trusts()
        entry = self.store.get(call.key) if trusts else None
        now = asyncio.get_running_loop().time()
        if entry is not None and now < entry.fresh_until:
            if call.trail is not None:
                call.trail.had(call, Source.CACHE, entry.answer)
            metrics.cache_reads(call.system, "hit").inc()
            return entry.answer
        fetch = _Fetch(call, spoiled=not trusts or self._may_change(call))
        self._fetches.add(fetch)
        try:
            return await self._fetch(fetch, entry, ttl_s)
        finally:
            self._fetches.discard(fetch)

    def _trusts(self) -> bool:
        return self._others is None or self._others.is_trusted

    async def _write(self, call: Call) -> Answer:
        write = Write(call.system, call.tags)
        may_come = replace(write, open_s=call.deadline + OPEN_S - asyncio.get_running_loop().time())
        try:
            answer = await self._send(call)
        except OutcomeUnknown:
            await self._wrote(may_come)
            raise
        except Exception:  # it was not sent
            self.touched(write)
            raise
        except BaseException:
            self._tell(may_come)
            raise
        await self._wrote(may_come if leaves_open(answer.status) else write)
        return answer

    async def _wrote(self, write: Write) -> None:
        """Drop what was written, here and wherever else it is kept."""
        told = self._tell(write)
        if told is not None:
            await asyncio.shield(told)

    async def told(self) -> None:
        """Wait until all that was written is told."""
        await asyncio.gather(*self._telling)

    def _tell(self, write: Write) -> "asyncio.Task[None] | None":
        self.touched(write)
        if self._others is None:
            return None
        task = asyncio.ensure_future(self._others.touched(write))
        self._telling.add(task)  # it goes on if nobody waits any more
        task.add_done_callback(self._telling.discard)
        return task

    def touched(self, write: Write) -> None:
        """Drop what a write touches."""
        if write.open_s:
            self._leave_open(write)
        for fetch in self._fetches:
            fetch.spoiled = fetch.spoiled or write.touches(fetch.call)
        self.store.drop_touched(write)

    def forget(self) -> None:
        """Drop everything, also what is on its way."""
        for fetch in self._fetches:
            fetch.spoiled = True
        self.store.clear()

    def _leave_open(self, write: Write) -> None:
        now = asyncio.get_running_loop().time()
        for key in [key for key, until in self._open.items() if until <= now]:
            del self._open[key]
        for tag in write.tags:
            key = (write.system, tag)
            self._open[key] = max(self._open.get(key, 0), now + write.open_s)

    def _may_change(self, call: Call) -> bool:
        """Whether a write may yet take effect on what a read tells of."""
        if not self._open:
            return False
        now = asyncio.get_running_loop().time()
        return any(self._open.get((call.system, tag), 0) > now for tag in call.tags)

    async def _fetch(self, fetch: _Fetch, old: Entry | None, ttl_s: float) -> Answer:
        call = fetch.call
        asked = asyncio.get_running_loop().time()
        validators = {VALIDATORS[name]: value for name, value in old.answer.headers.items()} if old else {}
        try:
            answer = await self._send(replace(call, headers={**call.headers, **validators}) if validators else call)
        except (Unavailable, TimedOut) as error:
            kept = self._kept_in_need(call)
            if kept is None:
                metrics.cache_reads(call.system, "miss").inc()
                raise
            forget_where(error)  # nobody else hears of it
            return kept
        if answer.status == 429 or answer.status >= 500:
            kept = self._kept_in_need(call)
            if kept is None:
                metrics.cache_reads(call.system, "miss").inc()
            return kept or answer
        headers = validators_of(call, answer)
        is_forbidden = forbids_keeping(answer)
        is_revalidated = answer.status == 304 and old is not None and bool(validators)
        metrics.cache_reads(call.system, "revalidated" if is_revalidated else "miss").inc()
        fresh_until = asked + ttl_s
        if answer.fresh_until is not None:
            fresh_until = min(fresh_until, answer.fresh_until)
        if answer.status == 304 and old is not None and validators:
            answer, headers = old.answer, {**old.answer.headers, **headers}
        if may_be_kept(call, answer) and not is_forbidden:
            if not fetch.spoiled and fresh_until > asked:
                kept = replace(answer, headers=headers, fresh_until=None)
                self.store.put(call.key, Entry(kept, call.tags, fresh_until))
        else:
            self.store.drop(call.key)
        return answer

    def _kept_in_need(self, call: Call) -> Answer | None:
        """Return what is kept, marked if it is no longer fresh, if it may still do where the upstream fails."""
        now = asyncio.get_running_loop().time()
        entry = self.store.get(call.key) if self._trusts() else None
        if entry is None or now >= entry.fresh_until + self._stale_if_error_s:
            return None
        kept = entry.answer if now < entry.fresh_until else replace(entry.answer, stale=True)
        if call.trail is not None:
            call.trail.had(call, Source.STALE if kept.stale else Source.CACHE, kept)
        metrics.cache_reads(call.system, "stale" if kept.stale else "hit").inc()
        return kept
