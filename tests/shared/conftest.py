"""A store, and gateways that share it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.shared.store import Store, running_store

KEPT = {name: {"cache_ttl_s": 60} for name in ("collections", "disputes", "rpm")}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Run a store."""
    async with running_store(tmp_path) as store:
        yield store


class Group:
    """Makes gateways of one group, in this process; each keeps answers for a minute."""

    def __init__(self, store: Store, make: MakeGateway) -> None:
        self._store = store
        self._make = make

    async def join(self, **overrides: Any) -> Gateway:
        """Return another gateway that is in."""
        shared = {**self._store.settings, **overrides.pop("shared", {})}
        return await self._make(**{**KEPT, "shared": shared, **overrides})


@pytest.fixture
def group(store: Store, gateway_with: MakeGateway) -> Group:
    """Return a group that nobody is in."""
    return Group(store, gateway_with)
