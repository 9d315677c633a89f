"""The three systems emulated over real HTTP, from the vendors' pages and from nothing of the gateway.

They check keys, refuse what the vendors refuse, reset what the vendors reset, and record every call. What the
pages leave open is decided for the worse: an answer that is not promised does not come.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from peoplegraph.sandbox.collections import Collections
from peoplegraph.sandbox.disputes import Disputes
from peoplegraph.sandbox.http import Ledger
from peoplegraph.sandbox.rpm import Rpm
from peoplegraph.sandbox.seed import seed
from peoplegraph.sandbox.serving import serving
from peoplegraph.sandbox.store import Store

Blocks = dict[str, dict[str, str]]
"""What a gateway's settings say of each system: its block's name, and `url`, `api_key` and so on in it."""


class Sandbox:
    """The three systems over one store, and the ledger of the calls that they received."""

    def __init__(self, data: Path | None = None) -> None:
        self.store = Store(data)
        if not self.store.seeded:
            seed(self.store)
        self.ledger = Ledger()
        self.collections = Collections(self.store, self.ledger)
        self.disputes = Disputes(self.store, self.ledger)
        self.rpm = Rpm(self.store, self.ledger)
        self.systems = (self.collections, self.disputes, self.rpm)

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Blocks]:
        """Serve each system on a port of its own, from `port` on, or on free ones if it is 0.

        Yields the settings with which a gateway finds them.
        """
        async with serving(self.systems, host, port) as urls:
            yield {
                system.name.lower(): {"url": url + system.base, **system.settings}
                for url, system in zip(urls, self.systems, strict=True)
            }

    def close(self) -> None:
        """Close the store."""
        self.store.close()
