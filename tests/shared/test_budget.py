"""One budget of upstream calls: what each gateway may have under way, and start in a second, adds up."""

import asyncio
import bisect
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from peoplegraph.shared.budget import LOOKED_BACK, Budget
from peoplegraph.shared.group import BEAT_S
from peoplegraph.shared.link import Script
from peoplegraph.systems import System
from peoplegraph.upstream.limit import Limits, Load
from tests.scripted import http, scripted
from tests.shared.conftest import Group
from tests.shared.store import Store, running_store

TOTAL = 20
LIMITS = {System.RPM: Limits(TOTAL, 40)}


class Member:
    """A gateway that needs `need` calls, and makes what it may of them."""

    def __init__(self, name: str, store: "redis.Redis") -> None:
        self._name = name
        self._store = store
        self.need = 0
        self.limits = Limits(0)
        self.under_way = 0
        self._budget = Budget(LIMITS, self._load, self._resize)

    def beat(self) -> None:
        """Say what is needed, and be told what may be."""
        keys = ["members", "shares"]
        fixed: list[str | int] = [self._name, 60_000, 60_000, "to", "beat"]
        _, *shares = self._store.eval(Script.BEAT.text, 2, *keys, *fixed, *self._budget.wants())
        self._budget.take(shares, may_grow=True)
        self.work()

    def work(self) -> None:
        """Begin and end calls; what is under way beyond what may be ends, but not at once."""
        allowed = max(self.limits.concurrency, self.under_way)
        self.under_way = min(self.need, allowed)

    def ends_some(self) -> None:
        """Have calls come to their end."""
        self.under_way = min(self.under_way, self.limits.concurrency)

    def _load(self, _: System) -> Load:
        return Load(self.limits.concurrency, self.under_way, self.need - self.under_way)

    def _resize(self, _: System, limits: Limits) -> None:
        self.limits = limits


@pytest.fixture(scope="module")
async def budgets(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["redis.Redis"]:
    """Run a store for all examples."""
    async with running_store(tmp_path_factory.mktemp("store")) as store:
        client = redis.Redis.from_url(store.url)
        yield client
        client.close()


steps = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40), st.booleans()), max_size=30)


@settings(max_examples=100)
@given(steps)
def test_what_gateways_may_call_adds_up(budgets: "redis.Redis", steps: list[tuple[str, int, bool]]) -> None:
    """Whoever needs whatever, comes and beats in whatever order: together they never call more than they may.

    But for one call of each that came while all was taken: it needs not wait for the others' next beat.
    """
    budgets.flushall()
    members: dict[str, Member] = {}
    for name, need, ends in steps:
        member = members.setdefault(name, Member(name, budgets))
        member.need = need
        if ends:
            member.ends_some()
        member.beat()
        assert sum(each.under_way for each in members.values()) <= TOTAL + len(members) - 1
    for _ in range(3 * LOOKED_BACK):
        for member in members.values():
            member.ends_some()
            member.beat()
    assert sum(each.limits.concurrency for each in members.values()) <= TOTAL
    assert sum(each.limits.calls_per_second for each in members.values()) <= LIMITS[System.RPM].calls_per_second
    for member in members.values():
        assert member.limits.concurrency >= min(member.need, TOTAL // len(members))
        assert member.limits.calls_per_second > 0
    wanted = sum(max(1, each.need) for each in members.values())
    assert sum(each.under_way for each in members.values()) >= min(wanted, TOTAL) - 2 * len(members)


async def test_a_gateway_that_ends_leaves_its_part_to_the_others(group: Group, store: Store) -> None:
    """What a gateway had is free once it has ended, and once it is forgotten if it was killed."""
    one = await group.join()
    async with store.client() as client:
        shares = await client.hgetall("peoplegraph:shares")
        assert len(shares) == 1
        await client.eval(Script.LEAVE.text, 2, "peoplegraph:members", "peoplegraph:shares", *shares)
        assert await client.exists("peoplegraph:members", "peoplegraph:shares") == 0
        await asyncio.sleep(1)
        assert await client.zcard("peoplegraph:members") == 1  # it lives, and says so
    assert (await one.fetch("/readyz")).json()["shared"] == "up"


async def test_gateways_together_call_a_system_no_more_than_it_bears(group: Group) -> None:
    """Two gateways with much to do have the vendor's bounds between them, at once and in a second."""
    at_once = highest = 0
    starts: list[float] = []

    async def answer(_: str) -> bytes:
        nonlocal at_once, highest
        starts.append(time.monotonic())
        at_once += 1
        highest = max(highest, at_once)
        await asyncio.sleep(0.2)
        at_once -= 1
        return http(404, "{}")

    async with scripted(answer) as upstream:
        block: dict[str, Any] = {"url": upstream.url, "concurrency": 6, "calls_per_second": 20, "cache_ttl_s": 0}
        gateways = [await group.join(collections=block, deadline_s=30) for _ in range(2)]
        await asyncio.sleep(LOOKED_BACK * BEAT_S + 1)  # until each has its part
        query = 'query { representative(reference: "R-%d") { name } }'
        await asyncio.gather(*(gateways[number % 2].ask(query % number) for number in range(60)))
    assert highest == 6
    assert len(starts) == 60
    for number, first in enumerate(starts):
        assert bisect.bisect_left(starts, first + 0.9) - number <= 20
