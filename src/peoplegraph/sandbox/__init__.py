"""The three systems emulated over real HTTP, from the vendors' pages and from nothing of the gateway.

They check keys, refuse what the vendors refuse, reset what the vendors reset, and record every call. What the
pages leave open is decided for the worse: an answer that is not promised does not come.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from peoplegraph.sandbox.collections import Collections
from peoplegraph.sandbox.disputes import Disputes
from peoplegraph.sandbox.http import Ledger
from peoplegraph.sandbox.rpm import Rpm
from peoplegraph.sandbox.seed import seed
from peoplegraph.sandbox.serving import serving
from peoplegraph.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the emulated systems are, as the gateway's settings want it."""

    collections: str
    disputes: str
    rpm: str


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

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Urls]:
        """Serve the systems on `port` and the two behind it, or on free ports if it is 0."""
        apps = (self.collections, self.disputes, self.rpm)
        async with AsyncExitStack() as stack:
            bases = [
                await stack.enter_async_context(serving(app, host, port and port + offset))
                for offset, app in enumerate(apps)
            ]
            yield Urls(*(base + app.base for base, app in zip(bases, apps, strict=True)))

    def close(self) -> None:
        """Close the store."""
        self.store.close()
