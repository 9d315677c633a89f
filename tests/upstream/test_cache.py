"""What is kept across requests, for whom, and what drops it."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from peoplegraph.errors import OutcomeUnknown, TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.cache import ENTRY_BYTES, Cache, Entry, Store
from peoplegraph.upstream.call import Answer, Call, Credential
from peoplegraph.upstream.share import Share

RPM = System.RPM
ONE = Credential("K", "one")


def call(target: str = "/x", *, reads: bool = True, tags: str = "t", **parts: Any) -> Call:
    """Return a call."""
    deadline = asyncio.get_running_loop().time() + 5
    return Call(RPM, "GET" if reads else "POST", target, ONE, deadline, reads, reads, tags=frozenset(tags), **parts)


class Upstream:
    """Counts calls, and answers with their number, or with what it is told."""

    def __init__(self, *outcomes: Answer | BaseException) -> None:
        self.calls: list[Call] = []
        self.outcomes = list(outcomes)

    async def send(self, call: Call) -> Answer:
        """Answer the call."""
        self.calls.append(call)
        counted = Answer(200, {}, str(len(self.calls)).encode())
        outcome: Answer | BaseException = self.outcomes.pop(0) if self.outcomes else counted
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def cached(upstream: Upstream, ttl_s: float = 60, stale_if_error_s: float = 0) -> Cache:
    """Return a cache over an upstream."""
    return Cache(upstream.send, {RPM: ttl_s}, stale_if_error_s)


async def test_a_read_is_kept_for_its_time() -> None:
    """Equal reads are answered from what is kept, until its time is over; other reads are not."""
    upstream = Upstream()
    cache = cached(upstream, ttl_s=0.4)
    others = [call("/y"), call(body=b"x"), replace(call(), credential=Credential("K", "two"))]
    for asked in (call(), call(), *others):
        await cache.send(asked)
    assert len(upstream.calls) == 4
    await asyncio.sleep(0.45)
    assert (await cache.send(call())).body == b"5"


async def test_a_time_of_zero_is_off() -> None:
    """A system without a time is asked each time, as is what wants to be past all caches."""
    upstream = Upstream()
    off, on = cached(upstream, ttl_s=0), cached(upstream)
    for _ in range(2):
        await off.send(call())
    await on.send(call())
    await on.send(call(past_caches=True))
    assert len(upstream.calls) == 4


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, {}, b""),
        Answer(429, {}, b""),
        Answer(503, {}, b""),
        Answer(200, {"cache-control": "private, No-Store"}, b""),
    ],
)
async def test_what_is_not_kept(answer: Answer) -> None:
    """Only successes are kept, and none that the upstream wants not to be."""
    upstream = Upstream(answer)
    cache = cached(upstream)
    assert await cache.send(call()) is answer
    assert (await cache.send(call())).body == b"2"


async def test_an_error_with_a_success_of_a_status_is_not_kept() -> None:
    """The call knows an error from an answer."""
    upstream = Upstream(Answer(200, {}, b"error"))
    cache = cached(upstream)
    asked = call(is_success=lambda answer: answer.body != b"error")
    await cache.send(asked)
    assert (await cache.send(asked)).body == b"2"
    assert (await cache.send(asked)).body == b"2"


@pytest.mark.parametrize("outcome", [Answer(200, {}, b"w"), OutcomeUnknown(RPM, "x"), Unavailable(RPM, "x")])
async def test_a_write_drops_what_it_touches(outcome: Answer | Exception) -> None:
    """Whatever a write comes to, what is kept under its tags is dropped, whoever's it is, and nothing else."""
    upstream = Upstream()
    cache = cached(upstream)
    touched, others = call(tags="ab"), replace(call(tags="b"), credential=Credential("K", "two"))
    untouched = call("/y", tags="c")
    for asked in (touched, others, untouched):
        await cache.send(asked)
    upstream.outcomes = [outcome]
    await asyncio.gather(cache.send(call(reads=False, tags="bx")), return_exceptions=True)
    for asked in (touched, others, untouched):
        await cache.send(asked)
    assert len(upstream.calls) == 3 + 1 + 2


async def test_validators_spare_the_body() -> None:
    """What is no longer fresh is asked for with its validators; a 304 makes it fresh again."""
    first = Answer(200, {"etag": '"1"', "last-modified": "Mon"}, b"big")
    upstream = Upstream(first, Answer(304, {}, b""), Answer(200, {}, b"new"))
    cache = cached(upstream, ttl_s=0.4)
    for body, conditional in ((b"big", {}), (b"big", {"If-None-Match": '"1"', "If-Modified-Since": "Mon"})):
        assert (await cache.send(call())).body == body
        assert (await cache.send(call())).body == body
        assert upstream.calls[-1].headers == conditional
        await asyncio.sleep(0.45)
    assert (await cache.send(call())).body == b"new"
    assert len(upstream.calls) == 3


@pytest.mark.parametrize("failure", [Unavailable(RPM, "x"), TimedOut(RPM, "x"), Answer(503, {}, b"")])
async def test_stale_if_error(failure: Answer | Exception) -> None:
    """Where the upstream fails, what is no longer fresh does for a while, marked, if the settings let it."""
    upstream = Upstream(Answer(200, {}, b"old"), failure, failure)
    cache = cached(upstream, ttl_s=0.05, stale_if_error_s=0.5)
    assert not (await cache.send(call())).stale
    await asyncio.sleep(0.06)
    stale = await cache.send(call())
    assert (stale.body, stale.stale) == (b"old", True)
    await asyncio.sleep(0.55)
    if isinstance(failure, Answer):
        assert await cache.send(call()) is failure
    else:
        with pytest.raises(type(failure)):
            await cache.send(call())
    off = cached(Upstream(Answer(200, {}, b"old"), Unavailable(RPM, "x")), ttl_s=0.01)
    await off.send(call())
    await asyncio.sleep(0.02)
    with pytest.raises(Unavailable):
        await off.send(call())


@pytest.mark.parametrize("outcome", [OutcomeUnknown(RPM, "x"), Answer(504, {}, b""), asyncio.CancelledError()])
async def test_what_a_write_may_yet_change_is_not_kept(outcome: Answer | BaseException) -> None:
    """Where it is open whether a write took effect, or when it will, what it touches is asked for each time."""
    upstream = Upstream()
    cache = cached(upstream)
    upstream.outcomes = [outcome]
    await asyncio.gather(cache.send(call(reads=False, tags="b")), return_exceptions=True)
    for _ in range(2):
        await cache.send(call(tags="ab"))
        await cache.send(call("/y", tags="c"))
    assert [str(c.target) for c in upstream.calls] == ["/x", "/x", "/y", "/x"]


async def test_a_write_elsewhere_spoils_no_read() -> None:
    """A read that was under way while something else was written is kept."""
    upstream, go = Upstream(), asyncio.Event()

    async def send(call: Call) -> Answer:
        answer = await upstream.send(call)
        if call.reads:
            await go.wait()
        return answer

    cache = Cache(send, {RPM: 60})
    kept, spoiled = (asyncio.ensure_future(cache.send(call(f"/{tag}", tags=tag))) for tag in "ab")
    await asyncio.sleep(0)
    await cache.send(call(reads=False, tags="b"))
    go.set()
    await asyncio.gather(kept, spoiled)
    for tag in "ab":
        await cache.send(call(f"/{tag}", tags=tag))
    assert [c.target for c in upstream.calls] == ["/a", "/b", "/x", "/b"]


OLD = Answer(200, {"etag": '"1"'}, b"old")


@pytest.mark.parametrize(
    "revoking",
    [
        Answer(401, {}, b""),
        Answer(403, {}, b""),
        Answer(404, {}, b""),
        Answer(200, {"cache-control": "no-store"}, b"new"),
        Answer(304, {"cache-control": "no-store"}, b""),
    ],
)
async def test_what_was_revoked_is_not_served_in_need(revoking: Answer) -> None:
    """An answer that is not kept takes the one that was kept with it."""
    upstream = Upstream(OLD, revoking, Unavailable(RPM, "x"))
    cache = cached(upstream, ttl_s=0.01, stale_if_error_s=60)
    for _ in range(2):
        await cache.send(call())
        await asyncio.sleep(0.02)
    with pytest.raises(Unavailable):
        await cache.send(call())


@pytest.mark.parametrize(
    ("method", "etag"), [("POST", '"1"'), ("GET", '"caf\u00e9"'), ("GET", '"%s"' % ("x" * 2000)), ("GET", "a\nb")]
)
async def test_validators_that_would_do_harm_are_not_sent(method: Any, etag: str) -> None:
    """A POST that matches is a 412, and a header that cannot be sent is none."""
    upstream = Upstream(Answer(200, {"etag": etag}, b"old"))
    cache = cached(upstream, ttl_s=0.01)
    for _ in range(2):
        await cache.send(replace(call(), method=method))
        await asyncio.sleep(0.02)
    assert upstream.calls[-1].headers == {}


async def test_headers_that_are_not_needed_are_not_kept() -> None:
    """What is kept is bounded in bytes, so it has nothing that is not counted."""
    upstream = Upstream(Answer(200, {"x-large": "x" * 60_000, "etag": '"1"'}, b"old"))
    cache = cached(upstream)
    await cache.send(call())
    assert (await cache.send(call())).headers == {"etag": '"1"'}
    assert f"1 entries, {ENTRY_BYTES + len('old') + len(chr(34) * 2 + '1') + len('/x') + len('t'):,} of" in repr(
        cache
    )


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3000), st.booleans()), max_size=60),
)
def test_the_store_is_bounded_and_forgets_the_least_used(steps: list[tuple[str, int, bool]]) -> None:
    """Whatever is put and asked for, the bytes are within the bound, and what was used last is there."""
    store = Store(max_bytes=3 * ENTRY_BYTES + 3000)
    model: dict[str, int] = {}
    for name, size, asks in steps:
        key = (RPM, "GET", name, None, ONE)
        if asks:
            found = store.get(key)
            assert (found is not None) is (name in model)
            if name in model:
                model[name] = model.pop(name)
            continue
        store.put(key, Entry(Answer(200, {}, b"x" * size), frozenset(), 0))
        model.pop(name, None)
        model[name] = size + ENTRY_BYTES + len(name)
        while sum(model.values()) > 3 * ENTRY_BYTES + 3000:
            del model[next(iter(model))]
    assert repr(store).startswith(f"<Store {len(model)} entries, {sum(model.values()):,} of ")


class Versions:
    """A record that writes raise the version of; each call is taken in and answered when the test says so."""

    def __init__(self) -> None:
        self.version = 0
        self.pending: list[tuple[Call, asyncio.Future[None], asyncio.Future[Answer], list[int]]] = []

    async def send(self, call: Call) -> Answer:
        """Wait to be taken in, and then to be answered."""
        loop = asyncio.get_running_loop()
        taken_in: asyncio.Future[None] = loop.create_future()
        answered: asyncio.Future[Answer] = loop.create_future()
        seen = [0]
        self.pending.append((call, taken_in, answered, seen))
        await taken_in
        if not call.reads:
            self.version += 1
        seen[0] = self.version
        return await answered

    def move(self, index: int) -> None:
        """Take a pending call in, or answer one that was."""
        if not self.pending:
            return
        entry = self.pending[index % len(self.pending)]
        if not entry[1].done():
            entry[1].set_result(None)
        else:
            self.pending.remove(entry)
            if not entry[2].done():
                entry[2].set_result(Answer(200, {}, str(entry[3][0]).encode()))


@settings(max_examples=1500)
@given(
    st.lists(st.sampled_from(["read", "read", "write", 0, 0, 1, 1, 2, "other"]), min_size=8, max_size=40),
    st.booleans(),
)
async def test_reads_see_their_writes(steps: list[str | int], share: bool) -> None:
    """A read that starts after a write was answered sees nothing older, however calls overtake one another."""
    upstream = Versions()
    cache = Cache(Share(upstream.send).send if share else upstream.send, {RPM: 60})
    answered = 0
    reads: list[tuple[int, asyncio.Task[Answer]]] = []
    writes: list[asyncio.Task[None]] = []

    async def write() -> None:
        nonlocal answered
        answer = await cache.send(call(reads=False))
        answered = max(answered, int(answer.body))

    for step in steps:
        if step == "read":
            reads.append((answered, asyncio.ensure_future(cache.send(call()))))
        elif step == "other":
            reads.append((0, asyncio.ensure_future(cache.send(call("/y", tags="y")))))
        elif step == "write":
            writes.append(asyncio.create_task(write()))
        else:
            upstream.move(int(step))
        for _ in range(4):
            await asyncio.sleep(0)
    while upstream.pending:
        upstream.move(0)
        for _ in range(4):
            await asyncio.sleep(0)
    for at_least, read in reads:
        assert int((await read).body) >= at_least
    await asyncio.gather(*writes)
