"""What gateways share in a Valkey or Redis: answers, callers' rates, persisted queries, and what they may call.

None of it is needed by one gateway alone; and without the store each goes on alone, but for what it keeps of
answers: others write what it cannot see.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from peoplegraph.observe import metrics
from peoplegraph.settings import Settings
from peoplegraph.shared.budget import Budget
from peoplegraph.shared.group import JOIN_S, Group, Keeper
from peoplegraph.shared.keys import Keys
from peoplegraph.shared.queries import Queries
from peoplegraph.shared.rates import Rates
from peoplegraph.shared.records import Records
from peoplegraph.shared.seal import Seal
from peoplegraph.upstream import Engine, limits_of
from peoplegraph.upstream.call import Send


class Shared:
    """This gateway's part in what its group shares, as `settings` say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ttl_s = {system: settings.cache_ttl_s(system) for system in settings.configured}
        self._seal = Seal(settings.shared.key_bytes)
        bases = {system: block.url for system, block in settings.configured.items()}
        self._keys = Keys(settings.shared.group, self._seal, bases)
        url = settings.shared.url.get_secret_value()
        self.group = Group(url, self._keys, self._seal, max(self._ttl_s.values(), default=0))
        self.rates = Rates(self.group, self._keys)
        self.queries = Queries(self.group, self._keys, self._seal)

    def __repr__(self) -> str:
        return f"<Shared by {self.group!r}>"

    def records(self, send: Send) -> Records:
        """Return what answers from what the group keeps, before it sends."""
        return Records(send, self.group, self._keys, self._seal, self._ttl_s)

    def state(self) -> str:
        """Return `up` or `down`."""
        return "up" if self.group.joined.is_set() else "down"

    def sample(self) -> None:
        """Set the gauges."""
        is_up = self.group.joined.is_set()
        metrics.GROUP_UP.set(is_up)
        metrics.GROUP_DOWN.set(not is_up)
        metrics.GROUP_MEMBERS.set(self.group.members)

    @asynccontextmanager
    async def taking_part(self, engine: Engine, keepers: Collection[Keeper]) -> AsyncIterator[None]:
        """Be in the group until the block ends: `keepers` hear of what is written, and the engine has its part.

        It begins when the gateway is in, or the store has had its time.
        """
        budget = Budget(limits_of(self._settings), engine.load, engine.resize)
        task = asyncio.create_task(self.group.run(budget, keepers))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(JOIN_S):
                    await self.group.joined.wait()
            yield
        finally:
            await self.group.leave()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
