"""What one caller may do in a time, and that it is no other caller's loss."""

import asyncio
import re
from typing import Any

import pytest

from peoplegraph.access.api_keys import new_key
from peoplegraph.access.caller import Caller
from peoplegraph.access.quotas import Bucket, Quotas, TooMany, network
from peoplegraph.scopes import DATA
from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.scripted import http, scripted

QUERY = "{ __typename }"
THREE_CALLS = '{ representatives(references: ["REP-001", "REP-002", "REP-003"]) { reference } }'


async def two_callers(make: MakeGateway, **settings: Any) -> tuple[Gateway, dict[str, str], dict[str, str]]:
    """Run a gateway that knows two keys; return it with the header of each."""
    pairs = [new_key(), new_key()]
    keys = [{"name": str(i), "sha256": sha, "scopes": list(DATA)} for i, (_, sha) in enumerate(pairs)]
    gateway = await make(api_keys=keys, **settings)
    first, second = ({"authorization": f"Bearer {key}"} for key, _ in pairs)
    return gateway, first, second


async def test_requests_per_second(gateway_with: MakeGateway) -> None:
    """Beyond its rate a caller gets 429 with when to come again, and nobody else does."""
    gateway, first, second = await two_callers(gateway_with, caller_requests_per_second=3)
    replies = [await gateway.ask(QUERY, first) for _ in range(5)]
    assert [reply.response.status_code for reply in replies] == [200, 200, 200, 429, 429]
    refused = replies[-1]
    assert refused.errors[0]["extensions"]["code"] == "RATE_LIMITED"
    assert refused.errors[0]["message"] == "There may be 3 requests in 1 s"
    assert refused.response.headers["retry-after"] == "1"
    assert refused.response.headers["ratelimit-policy"] == '"requests";q=3;w=1'
    assert re.fullmatch(r'"requests";r=0;t=\d', refused.response.headers["ratelimit"])
    assert replies[0].response.headers["ratelimit"] == '"requests";r=2;t=1'
    assert (await gateway.ask(QUERY, second)).response.status_code == 200
    await asyncio.sleep(0.4)
    assert (await gateway.ask(QUERY, first)).response.status_code == 200


async def test_upstream_calls_per_minute(gateway_with: MakeGateway) -> None:
    """They are counted as they are made: what is kept or shared costs nothing, and what was begun is finished."""
    gateway, first, second = await two_callers(gateway_with, caller_calls_per_minute=4)
    for _ in range(2):
        reply = await gateway.ask(THREE_CALLS, first)
        assert reply.errors == []
    assert reply.response.headers["ratelimit"].startswith('"calls";r=0;t=')
    refused = await gateway.ask(THREE_CALLS, first)
    assert refused.response.status_code == 429
    assert refused.errors[0]["message"] == "There may be 4 upstream calls in 60 s"
    assert int(refused.response.headers["retry-after"]) > 30
    assert gateway.calls == []
    assert (await gateway.ask(THREE_CALLS, second)).errors == []
    gateway = await gateway_with(caller_calls_per_minute=4, collections={"cache_ttl_s": 10})
    for _ in range(5):
        assert (await gateway.ask(THREE_CALLS)).errors == []


async def test_each_attempt_is_a_call(gateway_with: MakeGateway) -> None:
    """A read that is tried three times has cost three calls."""
    async with scripted(lambda _: http(503, "")) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url}, caller_calls_per_minute=10)
        reply = await gateway.ask('{ representative(reference: "X") { name } }')
        assert len(upstream.requests) == 3
    assert reply.response.headers["ratelimit"].startswith('"calls";r=7;')


async def test_requests_at_once(gateway_with: MakeGateway) -> None:
    """Beyond its number a caller's requests are refused while the others are under way, and not after."""
    release = asyncio.Event()

    async def slow(_: str) -> bytes:
        await release.wait()
        return http(200, '{"name": "n"}')

    async with scripted(slow) as upstream:
        gateway, first, second = await two_callers(
            gateway_with, caller_operations=2, collections={"url": upstream.url}
        )
        waiting = [
            asyncio.create_task(gateway.ask(f'{{ representative(reference: "{n}") {{ name }} }}', first))
            for n in range(2)
        ]
        while len(upstream.requests) < 2:  # noqa: ASYNC110  # the upstream has no event
            await asyncio.sleep(0.01)
        refused = await gateway.ask(QUERY, first)
        assert refused.response.status_code == 429
        assert refused.response.headers["retry-after"] == "1"
        assert (await gateway.ask(QUERY, first)).response.status_code == 429  # a refusal makes no room
        assert (await gateway.ask(QUERY, second)).response.status_code == 200
        release.set()
        assert [(await task).errors for task in waiting] == [[], []]
        assert (await gateway.ask(QUERY, first)).response.status_code == 200


async def test_a_batch_is_as_many_requests_as_it_has(gateway_with: MakeGateway) -> None:
    """Nobody gets past the rate by putting operations together."""
    gateway = await gateway_with(caller_requests_per_second=3, max_batch=10)
    reply = await gateway.post(json=[{"query": QUERY}] * 10)
    assert reply.status_code == 200
    refused = await gateway.post(json={"query": QUERY})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 2


async def test_without_limits_nothing_is_said_of_them(gateway: Gateway) -> None:
    """There are no RateLimit headers where there is no rate."""
    reply = await gateway.ask(QUERY)
    assert not [name for name in reply.response.headers if name.startswith("ratelimit")]


def test_a_bucket() -> None:
    """It is full at first, fills evenly up to its brim, and may be in debt."""
    bucket = Bucket("x", 60, 60, now=0)
    assert bucket.left(0) == 60
    for _ in range(61):
        bucket.take(0)
    assert bucket.left(0) == -1
    assert bucket.wait_s(0) == 2
    assert bucket.wait_s(1) == 1
    assert bucket.reset_s(1) == 60
    assert bucket.left(1000) == 60
    slow = Bucket("y", 0.5, 1, now=0)
    slow.take(0)
    assert slow.wait_s(0) == 2
    assert (slow.most, slow.window_s) == (1, 2)


def test_callers_are_forgotten_and_never_those_under_way() -> None:
    """However many there are, memory is bounded; a request's own quota stays while it is under way."""
    quotas = Quotas(requests_per_second=1, calls_per_minute=0, at_once=1, most=3)
    busy = quotas.of(Caller("busy", "key", frozenset()), "", 0)
    busy.begin(0)
    for number in range(10):
        quotas.of(Caller(str(number), "token", frozenset()), "", 0)
    assert repr(quotas) == "<Quotas of 3 callers>"
    assert quotas.of(Caller("busy", "key", frozenset()), "", 0) is busy
    with pytest.raises(TooMany):
        busy.begin(0)


def test_who_has_no_name_is_told_apart_by_address() -> None:
    """An IPv4 address is somebody; of IPv6 a network of 64 bits is, since everybody has one to choose from."""
    quotas = Quotas(requests_per_second=1, calls_per_minute=0, at_once=2)
    anybody = Caller("anonymous", "open", frozenset())
    assert quotas.of(anybody, "192.0.2.1", 0) is not quotas.of(anybody, "192.0.2.2", 0)
    assert quotas.of(anybody, "2001:db8::1", 0) is quotas.of(anybody, "2001:db8::2", 0)
    assert quotas.of(anybody, "2001:db8:0:1::1", 0) is not quotas.of(anybody, "2001:db8::1", 0)
    assert network("a socket's path") == "a socket's path"
