"""Single flight."""

import asyncio

import pytest
from msgspec.structs import replace

from peoplegraph.errors import TimedOut, Unavailable
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Credential
from peoplegraph.upstream.share import Share

ONE = Credential("K", "one")
TWO = Credential("K", "two")


class Upstream:
    """Answers when it is told to, with the number of the call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.cancelled = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def send(self, call: Call) -> Answer:
        """Wait for `go`, or the call's deadline."""
        self.calls.append(call)
        number = len(self.calls)
        try:
            async with asyncio.timeout_at(call.deadline):
                await self.go.wait()
        except TimeoutError:
            raise TimedOut(call.system, "late") from None
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        return Answer(200, {}, str(number).encode())


def call(target: str = "/x", *, credential: Credential = ONE, within_s: float = 5, reads: bool = True) -> Call:
    """Return a call."""
    deadline = asyncio.get_running_loop().time() + within_s
    return Call(
        System.RPM, "POST", target, credential, deadline, reads=reads, safe_to_retry=reads, tags=frozenset("t")
    )


async def turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def started(share: Share, *calls: Call) -> list[asyncio.Task[Answer]]:
    """Send calls side by side."""
    tasks = [asyncio.create_task(share.send(call)) for call in calls]
    await turns()
    return tasks


async def test_equal_reads_are_one_call() -> None:
    """Reads of the same target, body and credential are one; any difference makes another."""
    upstream = Upstream()
    share = Share(upstream.send)
    other_body = replace(call(), body=b"x")
    tasks = await started(share, call(), call(), call("/y"), call(credential=TWO), other_body, call())
    assert len(upstream.calls) == 4
    assert repr(share) == "<Share 4 in flight>"
    upstream.go.set()
    assert [(await task).body for task in tasks] == [b"1", b"1", b"2", b"3", b"4", b"1"]
    assert repr(share) == "<Share 0 in flight>"
    await share.send(call())
    assert len(upstream.calls) == 5


async def test_writes_are_never_shared() -> None:
    """Two equal writes are two."""
    upstream = Upstream()
    upstream.go.set()
    share = Share(upstream.send)
    await asyncio.gather(share.send(call(reads=False)), share.send(call(reads=False)))
    assert len(upstream.calls) == 2


async def test_a_cancellation_or_a_deadline_of_a_follower_is_its_own() -> None:
    """Who waits for another's call and gives up, leaves; the call goes on."""
    upstream = Upstream()
    share = Share(upstream.send)
    first, hasty, cancelled, patient = await started(share, call(), call(within_s=0.01), call(), call())
    cancelled.cancel()
    with pytest.raises(TimedOut):
        await hasty
    assert upstream.cancelled == 0
    upstream.go.set()
    assert [(await task).body for task in (first, patient)] == [b"1", b"1"]
    assert len(upstream.calls) == 1


async def test_who_waited_for_a_call_that_is_given_up_makes_it_anew() -> None:
    """Where the first is cancelled, or its time is over, one of the others calls, and the rest wait for that."""
    upstream = Upstream()
    share = Share(upstream.send)
    first, *others = await started(share, call(), call(), call(), call())
    first.cancel()
    await turns()
    assert (len(upstream.calls), upstream.cancelled) == (2, 1)
    upstream.go.set()
    assert [(await task).body for task in others] == [b"2"] * 3
    upstream.go.clear()
    hasty, *others = await started(share, call(within_s=0.01), call(), call())
    with pytest.raises(TimedOut):
        await hasty
    await turns()
    assert len(upstream.calls) == 4
    upstream.go.set()
    assert [(await task).body for task in others] == [b"4"] * 2
    assert repr(share) == "<Share 0 in flight>"


async def test_who_has_time_does_not_wait_for_who_is_in_a_hurry() -> None:
    """A call that has less than half of the time is not joined; the later one is what others join."""
    upstream = Upstream()
    share = Share(upstream.send)
    hasty, patient, other = await started(share, call(within_s=0.05), call(within_s=1), call(within_s=1.1))
    assert len(upstream.calls) == 2
    with pytest.raises(TimedOut):
        await hasty
    upstream.go.set()
    assert [(await task).body for task in (patient, other)] == [b"2", b"2"]


async def test_many_in_a_row_do_not_each_call_a_system_that_hangs() -> None:
    """While the system hangs, 50 equal reads shortly one after the other are few calls."""
    upstream = Upstream()
    share = Share(upstream.send)
    tasks = []
    for _ in range(50):
        tasks += await started(share, call(within_s=0.5))
        await asyncio.sleep(0.002)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {TimedOut}
    assert len(upstream.calls) <= 25


async def test_an_error_is_shared_and_not_kept() -> None:
    """Everybody who waits gets it; who comes later does not."""
    upstream = Upstream()
    upstream.error = Unavailable(System.RPM, "down")
    share = Share(upstream.send)
    tasks = await started(share, call(), call())
    upstream.go.set()
    for task in tasks:
        with pytest.raises(Unavailable):
            await task
    upstream.error = None
    assert (await share.send(call())).body == b"2"


@pytest.mark.parametrize("fails", [False, True])
async def test_nobody_joins_what_began_before_a_write(fails: bool) -> None:
    """A read that starts after a write was answered, or failed, is a call of its own; those before it go on."""
    upstream = Upstream()

    async def send(call: Call) -> Answer:
        if call.reads:
            return await upstream.send(call)
        if fails:
            raise Unavailable(call.system, "down")
        return Answer(200, {}, b"written")

    share = Share(send)
    before, joined = await started(share, call(), call())
    await asyncio.gather(share.send(call("/w", reads=False)), return_exceptions=True)
    after, again = await started(share, call(), call())
    assert len(upstream.calls) == 2
    upstream.go.set()
    assert [(await task).body for task in (before, joined, after, again)] == [b"1", b"1", b"2", b"2"]


async def test_a_write_to_one_system_parts_no_other() -> None:
    """Reads of another system go on being shared."""
    upstream = Upstream()

    async def send(call: Call) -> Answer:
        return await upstream.send(call) if call.reads else Answer(200, {}, b"")

    share = Share(send)
    other = replace(call(), system=System.DISPUTES)
    (first,) = await started(share, other)
    await share.send(call(reads=False))
    (second,) = await started(share, other)
    upstream.go.set()
    assert [(await task).body for task in (first, second)] == [b"1", b"1"]
