"""Upstreams that fail now and then: what it costs, and what it spoils."""

import asyncio
from collections import Counter

import pytest

from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.scripted import http, scripted

READ = '{ representative(reference: "A") { name } }'


async def test_a_read_survives_two_failures(gateway_with: MakeGateway) -> None:
    """A read that fails twice and then succeeds is a success, in three calls."""
    answers = iter([http(503), b"", http(200, '{"name": "x"}')])
    async with scripted(lambda _: next(answers)) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url})
        assert await gateway.data(READ) == {"representative": {"name": "x"}}
    assert len(upstream.requests) == 3


async def test_rpms_reads_are_repeated_though_they_are_posts(gateway_with: MakeGateway) -> None:
    """Rep is a POST that changes nothing; RepAdd is one that does, and is sent once."""
    answers = iter([http(502), http(200, '{"Result": {"RepID": 7, "Rep": "x"}}'), http(502)])
    async with scripted(lambda _: next(answers)) as upstream:
        gateway = await gateway_with(rpm={"url": upstream.url})
        assert await gateway.data("{ rep(by: { repId: 7 }) { name } }") == {"rep": {"name": "x"}}
        reply = await gateway.ask(
            """mutation { createRep(input: { agencyId: 1, username: "u", firstName: "f", lastName: "l" }) {
              errors { message } } }"""
        )
    assert reply.codes == {"createRep": "UPSTREAM_OUTCOME_UNKNOWN"}
    assert upstream.requests == ["POST /Rep", "POST /Rep", "POST /RepAdd"]


async def test_a_put_of_collections_is_repeated_and_a_patch_is_not(gateway_with: MakeGateway) -> None:
    """The vendor calls PUT safe to retry: a lost answer is asked for again; a PATCH is unknown."""
    seen: Counter[str] = Counter()

    def script(request: str) -> bytes:
        seen[request] += 1
        return b"" if seen[request] == 1 else http(200)

    async with scripted(script) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url})
        reply = await gateway.ask(
            """mutation {
              put: replaceRepresentative(reference: "A", input: {}) { created }
              patch: updateRepresentative(reference: "A", input: {}) { created }
            }"""
        )
    assert reply.data == {"put": {"created": False}, "patch": None}
    assert reply.codes == {"patch": "UPSTREAM_OUTCOME_UNKNOWN"}
    assert seen == {"PUT /representatives/A": 2, "PATCH /representatives/A": 1}


async def test_retry_after_beyond_the_deadline_fails_at_once(gateway_with: MakeGateway) -> None:
    """An upstream that asks for more patience than there is, is not waited for."""
    loop = asyncio.get_running_loop()
    async with scripted(lambda _: http(429, b"", "Retry-After: 60")) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url})
        started = loop.time()
        reply = await gateway.ask(READ)
        assert loop.time() - started < 1
    assert reply.codes == {"representative": "UPSTREAM_RATE_LIMITED"}
    assert len(upstream.requests) == 1


async def test_a_system_that_fails_is_left_alone(gateway_with: MakeGateway) -> None:
    """Where calls keep failing no more are made for a while; other systems are not touched."""
    async with scripted(lambda _: http(500)) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url})
        for number in range(20):
            await gateway.ask('{ representative(reference: "R%d") { name } }' % number)
        assert len(upstream.requests) == 20
        reply = await gateway.ask('{ representative(reference: "A") { name } rep(by: { repId: 1001 }) { repId } }')
    assert reply.data == {"representative": None, "rep": {"repId": 1001}}
    (error,) = reply.errors
    assert error["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"
    assert 0 < error["extensions"]["retryAfterMs"] <= 5000
    assert len(upstream.requests) == 20


async def test_equal_reads_of_many_requests_are_one_call(gateway_with: MakeGateway) -> None:
    """50 requests at once for the same representative are one call; with sharing off they are 50."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(0.5)
        return http(200, '{"name": "x"}')

    for share, calls in ((True, 1), (False, 50)):
        async with scripted(slow) as upstream:
            gateway = await gateway_with(
                collections={"url": upstream.url}, share_calls=share, share_operations=False
            )
            replies = await asyncio.gather(*(gateway.ask(READ) for _ in range(50)))
        assert {reply.data["representative"]["name"] for reply in replies} == {"x"}
        assert len(upstream.requests) == calls


async def test_two_callers_never_share_a_call(gateway_with: MakeGateway) -> None:
    """Equal reads with different credentials are different calls, and each has its own answer."""
    async with scripted(lambda _: http(200, '{"name": "x"}')) as upstream:
        gateway = await gateway_with(collections={"url": upstream.url, "credential": "caller"})
        await asyncio.gather(*(gateway.ask(READ, headers={"X-API-Key": f"k{n % 2}"}) for n in range(10)))
    assert len(upstream.requests) == 2


async def test_a_request_may_shorten_its_deadline(gateway_with: MakeGateway) -> None:
    """`X-Deadline-Ms` ends a request earlier: what is there is answered, what is not is UPSTREAM_TIMEOUT."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(0.5)
        return http(200)

    async with scripted(slow) as upstream:
        gateway = await gateway_with(rpm={"url": upstream.url})
        query = '{ rep(by: { repId: 1 }) { name } representative(reference: "REP-001") { reference } }'
        reply = await gateway.ask(query, headers={"X-Deadline-Ms": "100"})
    assert reply.data == {"rep": None, "representative": {"reference": "REP-001"}}
    assert reply.codes == {"rep": "UPSTREAM_TIMEOUT"}


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "1e3", "\u0661".encode(), "9" * 10])
async def test_a_malformed_deadline_is_refused(gateway: Gateway, value: str | bytes) -> None:
    """A deadline that is no whole number of milliseconds is a 400, and nothing is asked."""
    header = {"X-Deadline-Ms": value} if isinstance(value, bytes) else {"X-Deadline-Ms": value.encode()}
    reply = await gateway.post(json={"query": READ}, headers=header)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert gateway.calls == []


async def test_a_longer_deadline_than_the_settings_is_not_taken(gateway_with: MakeGateway) -> None:
    """The header may shorten the time, and not lengthen it."""

    async def slow(_: str) -> bytes:
        await asyncio.sleep(0.5)
        return http(200)

    async with scripted(slow) as upstream:
        gateway = await gateway_with(rpm={"url": upstream.url}, deadline_s=0.1)
        reply = await gateway.ask("{ rep(by: { repId: 1 }) { name } }", headers={"X-Deadline-Ms": "60000"})
    assert reply.codes == {"rep": "UPSTREAM_TIMEOUT"}


async def test_calls_per_second_are_bounded(gateway_with: MakeGateway) -> None:
    """What cannot be called within the deadline at the rate that is allowed is UPSTREAM_TIMEOUT, without a call."""
    gateway = await gateway_with(collections={"calls_per_second": 5}, deadline_s=0.5)
    references = ", ".join(f'"REP-{n:03}"' for n in range(1, 21))
    reply = await gateway.ask(f"{{ representatives(references: [{references}]) {{ reference }} }}")
    answered = sum(item is not None for item in reply.data["representatives"])
    assert 5 <= answered <= 8
    assert len(gateway.calls) == answered
    assert set(reply.codes.values()) == {"UPSTREAM_TIMEOUT"}
