"""What holds where the network between one gateway and the store fails."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.shared.conftest import Group
from tests.shared.proxy import Proxy
from tests.shared.store import Store
from tests.shared.test_group import WRITE, name_by, until


@pytest.fixture
async def proxy(store: Store) -> AsyncIterator[Proxy]:
    """Run a network between the store and one gateway."""
    async with Proxy(store.port).running() as proxy:
        yield proxy


async def test_a_gateway_that_hears_nothing_trusts_nothing(group: Group, proxy: Proxy) -> None:
    """Its connections stand, and bring nothing: a write elsewhere waits until it trusts what it keeps no more."""
    deaf, other = await group.join(shared={"url": proxy.url}), await group.join()
    for number in range(2):
        await name_by(deaf)
        proxy.deafen()
        await other.data(WRITE, name=f"Unheard {number}")
        assert await name_by(deaf) == f"Unheard {number}"
        proxy.mend()
        await until(deaf, "up")
        assert await name_by(deaf) == f"Unheard {number}"


async def test_who_comes_back_first_knows_of_no_write_and_answers_none_from_before(
    group: Group, store: Store, proxy: Proxy
) -> None:
    """Both have lost the store, and one wrote; it is not back when the other finds what the store still has."""
    writer, other = await group.join(shared={"url": proxy.url}), await group.join()
    await name_by(other)
    store.pause()
    proxy.cut()
    written = asyncio.create_task(writer.data(WRITE, name="Unknown"))
    await until(other, "down")
    store.resume()
    await until(other, "up")
    await written
    assert await name_by(other) == "Unknown"


async def test_what_a_gateway_wrote_alone_is_known_once_it_is_back(group: Group, proxy: Proxy) -> None:
    """Cut off alone it may write what others keep otherwise, for as long as they keep it; back, it tells them."""
    alone, other = await group.join(shared={"url": proxy.url}), await group.join()
    before = await name_by(other)
    proxy.cut()
    await until(alone, "down")
    await alone.data(WRITE, name="Alone")
    assert await name_by(alone) == "Alone"
    assert await name_by(other) == before
    proxy.mend()
    await until(alone, "up")
    assert await name_by(other) == "Alone"
