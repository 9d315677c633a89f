"""What gateways share, through their front doors: two or three of them over one store."""

import asyncio
import time
from base64 import b64encode
from typing import Any

import httpx
import pytest

from peoplegraph.commands import explain
from peoplegraph.sandbox import Blocks, Sandbox, disputes
from peoplegraph.sandbox.faults import parse
from peoplegraph.shared.group import LEASE_S
from peoplegraph.upstream.call import LATE_WRITE_S
from tests.gateway import Gateway, running_gateway, settings_for
from tests.shared.conftest import Group
from tests.shared.store import Store

READ = '{ representative(reference: "REP-006") { name } }'
WRITE = """mutation ($name: String!) {
  updateRepresentative(reference: "REP-006", input: { name: $name }) { errors { message } }
}"""
EVERYTHING = """{
  representative(reference: "REP-006") { name accounts(first: 3) { totalCount } }
  departments { assignees(first: 1) { nodes { title } } }
  rep(by: { repId: 1001 }) { title }
}"""


async def name_by(gateway: Gateway) -> str:
    """Return the name that a gateway answers with."""
    return str((await gateway.data(READ))["representative"]["name"])


def code_of(response: httpx.Response) -> str:
    """Return the code of the error in a response."""
    return str(response.json()["errors"][0]["extensions"]["code"])


async def state(gateway: Gateway) -> str:
    """Return what a gateway says of the store; it is ready in any case."""
    ready = await gateway.fetch("/readyz")
    assert ready.status_code == 200
    return str(ready.json()["shared"])


async def until(gateway: Gateway, wanted: str) -> None:
    """Wait until a gateway says that of the store."""
    async with asyncio.timeout(30):
        while await state(gateway) != wanted:  # noqa: ASYNC110  # it is asked as an operator asks it
            await asyncio.sleep(0.02)


async def test_what_one_gateway_was_told_the_others_need_not_ask(group: Group) -> None:
    """An answer is there for all gateways, of every system, and for each of them it is the same."""
    one, other = await group.join(), await group.join()
    first = await one.data(EVERYTHING)
    assert one.calls != []
    assert await other.data(EVERYTHING) == first
    assert other.calls == []


async def test_who_keeps_answers_for_less_is_given_none_that_is_older(group: Group, store: Store) -> None:
    """While a time is made shorter, one gateway after the other, the new ones take nothing from the old ones."""
    one, other = await group.join(), await group.join(disputes={"cache_ttl_s": 30})
    query = '{ assignee(by: { assigneeId: "asg-0006" }) { title } }'
    await one.data(query)
    async with store.client() as client:
        async for name in client.scan_iter("peoplegraph:answer:*"):
            await client.pexpire(name, 20_000)  # as if it had been asked for 40 s ago
    await other.data(query)
    assert len(other.calls) == 1


async def test_a_write_is_seen_through_every_gateway(group: Group) -> None:
    """Once a write is answered, nobody answers from before it: neither from its own memory nor from the store."""
    gateways = [await group.join() for _ in range(3)]
    for number, writer in enumerate(gateways):
        assert len({await name_by(gateway) for gateway in gateways}) == 1
        await writer.data(WRITE, name=f"Name {number}")
        assert {await name_by(gateway) for gateway in gateways} == {f"Name {number}"}


async def test_a_write_by_explain_is_seen_through_every_gateway(group: Group, blocks: Blocks, store: Store) -> None:
    """`explain --run` takes part where it writes, and does not without the store."""
    gateway = await group.join()
    await name_by(gateway)
    settings = settings_for(blocks, shared=store.settings)
    _, errors = await explain.run(settings, explain.find(settings, WRITE, None), {"name": "Explained"})
    assert errors == []
    assert await name_by(gateway) == "Explained"
    await store.kill()
    gateway.sandbox.ledger.calls.clear()
    with pytest.raises(explain.ExplainError, match="they would not hear of what it writes"):
        await explain.run(settings, explain.find(settings, WRITE, None), {"name": "Unheard"})
    assert gateway.calls == []


@pytest.mark.parametrize("refused", ["memory", "publish", "hset"])
async def test_a_store_that_takes_nothing_holds_up_no_write_for_long(
    group: Group, store: Store, refused: str
) -> None:
    """It lets gateways in, and refuses what they say there: they go on as without it, and nobody waits for them."""
    one, other = await group.join(), await group.join()
    await name_by(other)
    async with store.client() as client:

        async def take(*, all_of_it: bool) -> None:
            if refused == "memory":
                await client.config_set("maxmemory", "0" if all_of_it else "1")
            else:
                rights = [f"+{refused}" if all_of_it else f"-{refused}"]
                await client.acl_setuser("default", enabled=True, commands=rights)

        await take(all_of_it=False)
        began = time.monotonic()
        await one.data(WRITE, name="Refused")
        assert time.monotonic() - began < 6
        assert await name_by(other) == "Refused"
        for gateway in (one, other):
            await until(gateway, "down")
        await asyncio.sleep(LEASE_S)
        assert await client.zcount("peoplegraph:members", time.time() * 1000, "+inf") == 0
        await take(all_of_it=True)
        for gateway in (one, other):
            await until(gateway, "up")
        await one.data(WRITE, name="Taken")
        assert await name_by(other) == "Taken"


async def test_a_write_drops_what_it_touches_and_no_more(group: Group) -> None:
    """What others keep of other records stays."""
    one, other = await group.join(), await group.join()
    for gateway in (one, other):
        await gateway.data(EVERYTHING)
    await one.data(WRITE, name="New")
    await other.data(EVERYTHING)
    assert other.calls == ["COLLECTIONS GET /representatives/REP-006"]


async def test_a_read_that_began_before_a_write_elsewhere_is_not_kept(group: Group) -> None:
    """A slow read overtaken by a write through another gateway answers whoever asked, and nobody who asks later."""
    one, other = await group.join(), await group.join()
    before = await name_by(one)
    await one.data(WRITE, name="Between")
    await one.sandbox.switch([parse("collections:latency,ms=400,times=1,call=GET")])
    slow = asyncio.create_task(other.ask(READ))
    await asyncio.sleep(0.15)
    await one.data(WRITE, name="After")
    assert (await slow).data["representative"]["name"] in {before, "Between", "After"}
    assert await name_by(other) == "After"
    assert await name_by(one) == "After"


async def test_nobody_joins_a_read_from_before_a_write_elsewhere(group: Group) -> None:
    """A read that begins once a write was answered shares neither a call nor an operation that began before it."""
    one, other = await group.join(), await group.join()
    await one.sandbox.switch([parse("collections:latency,ms=600,times=1,call=GET")])
    slow = asyncio.create_task(other.ask(READ))
    await asyncio.sleep(0.2)
    await one.data(WRITE, name="After")
    assert await name_by(other) == "After"
    await slow


async def test_who_reads_all_the_time_reads_each_write(group: Group) -> None:
    """The store still has the old answer when who writes has dropped it; nobody keeps what it finds then."""
    one, other = await group.join(), await group.join()
    is_over = False

    async def read(gateway: Gateway) -> None:
        while not is_over:
            await name_by(gateway)

    reading = [asyncio.create_task(read(gateway)) for gateway in (one, one, one, other, other)]
    for number in range(30):
        await one.data(WRITE, name=f"Name {number}")
        assert {await name_by(gateway) for gateway in (one, other)} == {f"Name {number}"}
    is_over = True
    await asyncio.gather(*reading)


async def test_where_it_is_not_known_whether_a_write_took_effect_nothing_is_kept(group: Group) -> None:
    """A write whose answer is lost may take effect later: until then each read is made, through any gateway."""
    one, other = await group.join(), await group.join()
    await one.sandbox.switch([parse("collections:reset,when=after,call=PATCH,times=1")])
    assert (await one.ask(WRITE, name="Lost")).codes == {"updateRepresentative": "UPSTREAM_OUTCOME_UNKNOWN"}
    await one.data(WRITE, name="Known")  # it settles nothing of the first one
    late = await group.join()
    for gateway in (one, other, late, one, other, late):
        await gateway.data(READ)
        assert gateway.calls == ["COLLECTIONS GET /representatives/REP-006"]
    assert LATE_WRITE_S > 30


async def test_credentials_are_kept_apart(group: Group) -> None:
    """A caller has what its own credential was answered, through whichever gateway, and never another's."""
    block = {"cache_ttl_s": 60, "credential": "caller", "api_key": None}
    one, other = await group.join(disputes=block), await group.join(disputes=block)
    query = "{ currentAssignee { assigneeId } }"
    callers = [{"X-Billtrust-Auth": disputes.USER_TOKEN}, {"X-Billtrust-Api-Key": disputes.READ_ONLY_KEY}]
    for gateway in (one, other):
        for number, headers in ((3, callers[0]), (2, callers[1])):
            reply = await gateway.ask(query, headers=headers)
            assert reply.data["currentAssignee"] == {"assigneeId": f"asg-{number:04}"}
            assert len(gateway.calls) == (gateway is one)
    reply = await other.ask(query, headers={"X-Billtrust-Api-Key": "wrong"})
    assert reply.codes == {"currentAssignee": "FORBIDDEN"}


async def test_nothing_in_the_store_can_be_read(group: Group, store: Store) -> None:
    """Neither keys nor values nor messages tell a name, a key, a query or a credential."""
    one = await group.join(persisted_queries=10, caller_requests_per_second=100)
    async with store.client() as client, client.pubsub() as spy:
        await spy.psubscribe("*")
        data = await one.data(EVERYTHING)
        digest = "f5d26efef2bc0b6e9bfd8ab8cec73fe5a5e0a9bb2b6df3e0e39d4ab8bfa4ef5c"
        extensions = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
        await one.post(json={"query": READ, "extensions": extensions})
        await one.data(WRITE, name="Nobody Knows")
        await asyncio.sleep(0.1)
        everything = b""
        while (message := await spy.get_message(timeout=0.1)) is not None:
            everything += repr(message).encode()
        async for key in client.scan_iter():
            kind = (await client.type(key)).decode()
            everything += key + b" "
            if kind == "string":
                everything += await client.get(key)
            elif kind == "hash":
                everything += repr(await client.hgetall(key)).encode()
    assert len(everything) > 1000
    secrets = [data["representative"]["name"], "REP-006", "Nobody", "representative", "sandbox", "asg-", "@example"]
    assert [secret for secret in secrets if secret.encode() in everything] == []


async def test_without_the_store_a_gateway_goes_on_and_keeps_nothing(group: Group, store: Store) -> None:
    """Where it is gone reads and writes go on, and each read is made: others may write what cannot be seen."""
    one, other = await group.join(), await group.join()
    await one.data(READ)
    await other.data(READ)
    await store.kill()
    await until(one, "down")
    await until(other, "down")
    for number, (writer, reader) in enumerate([(one, other), (other, one)] * 2):
        await writer.data(WRITE, name=f"Alone {number}")
        assert await name_by(reader) == f"Alone {number}"
        assert reader.calls == ["COLLECTIONS GET /representatives/REP-006"]
    await store.start()
    await until(one, "up")
    await until(other, "up")
    await one.data(EVERYTHING)
    await other.data(EVERYTHING)
    assert other.calls == []


async def test_a_write_just_when_the_store_goes_is_seen_all_the_same(group: Group, store: Store) -> None:
    """The other gateway does not know yet, and trusts what it keeps: the write is answered when it does no more."""
    one, other = await group.join(), await group.join()
    for number in range(3):
        await name_by(other)
        store.pause()
        await one.data(WRITE, name=f"Just then {number}")
        assert await name_by(other) == f"Just then {number}"
        store.resume()
        await until(one, "up")
        await until(other, "up")
        assert await name_by(other) == f"Just then {number}"


async def test_a_store_that_hangs_holds_up_nothing(group: Group, store: Store) -> None:
    """The first who waits gives up within a fraction of a second, for all who come after."""
    one = await group.join()
    await one.data(READ)
    store.pause()
    try:
        began = time.monotonic()
        await asyncio.gather(*(one.data(EVERYTHING) for _ in range(5)))
        assert time.monotonic() - began < 1.5  # half of what a lease takes, on a machine that is busy
        await until(one, "down")
    finally:
        store.resume()
    await until(one, "up")


async def test_what_was_written_without_the_store_makes_what_is_in_it_worthless(group: Group, store: Store) -> None:
    """A gateway that was alone when it wrote says so when it comes back, since the store may know older answers."""
    one = await group.join()
    await one.data(EVERYTHING)
    store.pause()
    await one.data(WRITE, name="Alone")
    store.resume()
    await until(one, "up")
    other = await group.join()
    assert await name_by(other) == "Alone"


async def test_a_gateway_with_another_key_shares_nothing_and_is_heard(group: Group) -> None:
    """Two keys in one group, as while one is replaced: what the other writes is seen, though nobody can read it."""
    one = await group.join()
    other = await group.join(shared={"key": b64encode(b"k" * 32).decode()})
    await one.data(READ)
    await other.data(READ)
    assert len(other.calls) == 1
    for number, (writer, reader) in enumerate([(one, other), (other, one)]):
        await writer.data(WRITE, name=f"Other {number}")
        assert await name_by(reader) == f"Other {number}"


async def test_groups_are_kept_apart(group: Group) -> None:
    """Gateways of two names in one store have nothing to do with each other."""
    one, other = await group.join(), await group.join(shared={"group": "another"})
    await one.data(READ)
    await other.data(READ)
    assert len(other.calls) == 1


async def test_what_is_sent_to_one_gateway_is_persisted_for_all(group: Group, store: Store) -> None:
    """An automatic persisted query is known to every gateway, and to none while the store is gone."""
    one, other = await group.join(persisted_queries=10), await group.join(persisted_queries=10)
    digest = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"
    named: dict[str, Any] = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}
    assert code_of(await other.post(json=named)) == "PERSISTED_QUERY_NOT_FOUND"
    assert (await one.post(json={"query": "{__typename}", **named})).json() == {"data": {"__typename": "Query"}}
    assert (await other.post(json=named)).json() == {"data": {"__typename": "Query"}}
    await store.kill()
    third = await group.join(persisted_queries=10)
    assert code_of(await third.post(json=named)) == "PERSISTED_QUERY_NOT_FOUND"
    assert (await other.post(json=named)).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("limit", ["caller_requests_per_second", "caller_calls_per_minute"])
async def test_a_caller_has_its_rate_of_all_gateways_together(group: Group, limit: str) -> None:
    """Whoever asks several gateways in turn may ask as much as of one."""
    rates = {limit: 0.2 if limit == "caller_requests_per_second" else 6}
    gateways = [await group.join(**rates) for _ in range(2)]
    query = 'query { representative(reference: "REP-%03d") { name } }'
    replies = [(await gateways[number % 2].ask(query % number)).response for number in range(1, 13)]
    allowed = [reply.status_code for reply in replies].count(200)
    assert allowed == (1 if limit == "caller_requests_per_second" else 6)
    assert replies[-1].status_code == 429
    assert int(replies[-1].headers["retry-after"]) >= 1


async def test_a_caller_has_its_rate_where_the_store_is_gone(group: Group, store: Store) -> None:
    """Each gateway goes on counting by itself."""
    gateway = await group.join(caller_requests_per_second=0.1)
    await store.kill()
    await until(gateway, "down")
    assert [(await gateway.ask(READ)).response.status_code for _ in range(3)] == [200, 429, 429]


async def test_a_gateway_ends_while_the_store_hangs(store: Store, blocks: Blocks, sandbox: Sandbox) -> None:
    """Nobody answers its farewell, and it ends all the same."""
    async with asyncio.timeout(10):
        async with running_gateway(settings_for(blocks, shared=store.settings), sandbox) as gateway:
            assert await state(gateway) == "up"
            store.pause()
        store.resume()
