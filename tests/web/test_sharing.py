"""Equal queries under way at once."""

import asyncio
from typing import Any

import pytest

from peoplegraph.observe.requests import Seen
from peoplegraph.web.sharing import Encoded, Sharing
from tests.conftest import MakeGateway
from tests.scripted import Scripted, http, scripted

READ = '{ representative(reference: "A") { name } }'
OTHER = '{ representative(reference: "B") { name } }'
WRITE = 'mutation { updateRepresentative(reference: "C", input: {}) { errors { message } } }'


async def slow(request: str) -> bytes:
    """Answer after a while; a write at once."""
    if request.startswith("GET"):
        await asyncio.sleep(0.3)
    return http(200, '{"name": "x"}')


async def gateway_over(make: MakeGateway, upstream: Scripted, **overrides: Any) -> Any:
    """Make a gateway in which nothing but operations is shared."""
    block = {"url": upstream.url, "credential": "caller-or-gateway"}
    return await make(collections=block, share_calls=False, **overrides)


async def test_equal_queries_are_one_execution(gateway_with: MakeGateway) -> None:
    """50 callers with the same query cost one call, and each has an id of its own; off, they cost 50."""
    for share, calls in ((True, 1), (False, 50)):
        async with scripted(slow) as upstream:
            gateway = await gateway_over(gateway_with, upstream, share_operations=share)
            replies = await asyncio.gather(*(gateway.post(json={"query": READ}) for _ in range(50)))
        assert {reply.text for reply in replies} == {'{"data":{"representative":{"name":"x"}}}'}
        assert len({reply.headers["x-request-id"] for reply in replies}) == 50
        assert len(upstream.requests) == calls


@pytest.mark.parametrize(
    "others",
    [
        {"json": {"query": OTHER}},
        {"json": {"query": READ, "variables": {"a": 1}}},
        {"json": {"query": READ}, "headers": {"X-API-Key": "another's"}},
        {"json": {"query": READ}, "headers": {"X-Deadline-Ms": "5000"}},
        {"json": {"query": READ}, "headers": {"Accept": "application/graphql-response+json"}},
    ],
    ids=["query", "variables", "credential", "deadline", "media type"],
)
async def test_what_is_not_equal(gateway_with: MakeGateway, others: dict[str, Any]) -> None:
    """Another query, variables, credential, deadline or media type is an execution of its own."""
    async with scripted(slow) as upstream:
        gateway = await gateway_over(gateway_with, upstream)
        await asyncio.gather(gateway.post(json={"query": READ}), gateway.post(**others))
    assert len(upstream.requests) == 2


SEEN = Seen("id", "127.0.0.1", "http")


def answer(body: bytes) -> Encoded:
    """Return an answer of some request."""
    return Encoded(200, body, SEEN)


async def test_queries_that_never_wait_are_shared() -> None:
    """What is answered in one go, from what is kept, answers all that were there when it began."""
    sharing, executions = Sharing(10), 0

    async def execute() -> Encoded:
        nonlocal executions
        executions += 1
        return answer(b"x")

    async def ask() -> Encoded:
        shared = await sharing.join(("k",))
        return shared or await sharing.lead(("k",), execute())

    assert list(await asyncio.gather(*(ask() for _ in range(10)))) == [answer(b"x")] * 10
    assert executions == 1
    await asyncio.sleep(0)
    assert repr(sharing) == "<Sharing 0 in flight>"


async def test_nobody_joins_what_began_before_a_mutation(gateway_with: MakeGateway) -> None:
    """A query that begins after a mutation was answered is executed, whatever is under way."""
    async with scripted(slow) as upstream:
        gateway = await gateway_over(gateway_with, upstream)
        before = asyncio.ensure_future(gateway.post(json={"query": READ}))
        await asyncio.sleep(0.1)
        await gateway.post(json={"query": WRITE})
        await asyncio.gather(before, gateway.post(json={"query": READ}))
    assert [request.split()[0] for request in upstream.requests] == ["GET", "PATCH", "GET"]


async def test_mutations_are_never_shared(gateway_with: MakeGateway) -> None:
    """Two equal mutations are two."""
    async with scripted(slow) as upstream:
        gateway = await gateway_over(gateway_with, upstream)
        await asyncio.gather(*(gateway.post(json={"query": WRITE}) for _ in range(2)))
    assert len(upstream.requests) == 2


async def test_who_waited_for_what_was_given_up_is_answered() -> None:
    """Where the first is cancelled, those who wait learn that there is no answer; its error is theirs, too."""
    sharing = Sharing(10)

    async def hangs() -> Encoded:
        await asyncio.sleep(60)
        return answer(b"")

    async def fails() -> Encoded:
        await asyncio.sleep(0.01)
        raise ValueError("bug")

    for work, outcome in ((hangs(), None), (fails(), "bug")):
        leader = asyncio.ensure_future(sharing.lead(("k",), work))
        await asyncio.sleep(0)
        follower, gone = (asyncio.ensure_future(sharing.join(("k",))) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        if outcome is None:
            leader.cancel()
        await asyncio.gather(leader, gone, return_exceptions=True)
        if outcome is None:
            assert await follower is None
        else:
            with pytest.raises(ValueError, match=outcome):
                await follower
        assert repr(sharing) == "<Sharing 0 in flight>"


async def test_nobody_joins_what_has_little_time_left() -> None:
    """A query that has been under way for long is not waited for."""
    sharing = Sharing(0.01)
    leader = asyncio.ensure_future(sharing.lead(("k",), asyncio.sleep(0.05, answer(b"x"))))
    await asyncio.sleep(0.02)
    assert await sharing.join(("k",)) is None
    assert await leader == answer(b"x")
