"""Loaders by themselves: what they remember, and what they forget."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from peoplegraph.backends.billtrust_collections.client import CollectionsClient
from peoplegraph.backends.billtrust_collections.loaders import CollectionsLoaders
from peoplegraph.backends.billtrust_collections.wire import Sublist
from peoplegraph.backends.rpm import wire
from peoplegraph.backends.rpm.client import RpmClient
from peoplegraph.backends.rpm.loaders import ByAgency, ByAssignment, ById, RpmLoaders
from peoplegraph.context import Session
from peoplegraph.graph.paging import Window
from peoplegraph.upstream.call import Answer, Call, Credential

REP = b'{"Result": {"RepID": 7, "Rep": "x"}}'
USERS = b'{"Result": {"AgentUsers": [{"RepID": 7, "Name": "x"}, {"RepID": 8, "Name": "y"}]}}'


def session(answer: Callable[[Call], bytes], calls: list[str]) -> Session:
    """Return a session whose upstream answers as told, and notes what it was asked."""

    async def send(call: Call) -> Answer:
        calls.append(call.target)
        return Answer(200, {}, answer(call))

    return Session(send, Credential("X-Key", "k"), asyncio.get_running_loop().time() + 5)


def rpm(calls: list[str]) -> RpmLoaders:
    """Return loaders over an RPM that knows the reps 7 and 8."""
    return RpmLoaders(RpmClient(session(lambda call: USERS if "Users" in call.target else REP, calls)))


async def test_a_rep_is_known_by_its_id_too() -> None:
    """What was had by a supplier's code or by a name costs no call by its id."""
    for key in (ByAgency(1, "x"), ByAssignment(1, "x")):
        calls: list[str] = []
        loaders = rpm(calls)
        await loaders.rep.load(key)
        await loaders.rep.load(ById(7))
        assert calls == ["/Rep"]


async def test_a_rep_in_hand_is_not_listed() -> None:
    """Of two reps one of which is in hand, the other alone is asked for."""
    calls: list[str] = []
    loaders = rpm(calls)
    await loaders.rep.load(ById(7))
    await asyncio.gather(loaders.brief.load(7), loaders.brief.load(8), return_exceptions=True)
    assert calls == ["/Rep", "/Rep"]


@pytest.mark.parametrize("key", [ById(7), ByAgency(1, "x"), ByAssignment(1, "x")])
async def test_a_written_rep_is_forgotten_by_every_key(key: Any) -> None:
    """After a write a rep is read anew, by whatever key; another rep stays."""
    calls: list[str] = []
    loaders = rpm(calls)
    await loaders.rep.load(key)
    loaders.rep.prime(ById(8), wire.Rep(rep_id=8))
    loaders.forget(7)
    await loaders.rep.load(key)
    await loaders.rep.load(ById(8))
    assert calls == ["/Rep", "/Rep"]


async def test_the_list_of_users_is_forgotten() -> None:
    """After a write the users are listed anew."""
    calls: list[str] = []
    loaders = rpm(calls)
    for _ in range(2):
        await asyncio.gather(loaders.brief.load(7), loaders.brief.load(8))
        loaders.forget(None)
    assert calls == ["/AgentUsers", "/AgentUsers"]


async def test_a_written_representative_is_forgotten_with_its_pages() -> None:
    """After a write a representative and its pages are read anew; those of another stay."""
    calls: list[str] = []

    def answer(call: Call) -> bytes:
        return b"[]" if "?" in call.target else b'{"name": "x"}'

    loaders = CollectionsLoaders(CollectionsClient(session(answer, calls)))
    for _ in range(2):
        for reference in ("A", "B"):
            await loaders.representative.load(reference)
            await loaders.part(reference, Sublist.ACCOUNTS, Window("a list", 0, 10))
        loaders.forget("A")
    page = "/accounts?page=1&limit=100"
    a = ["/representatives/A", f"/representatives/A{page}"]
    assert calls == [*a, "/representatives/B", f"/representatives/B{page}", *a]
