"""The three systems emulated over real HTTP, from the vendors' pages and from nothing of the gateway.

They check keys, refuse what the vendors refuse, reset what the vendors reset, and record every call. What the
pages leave open is decided for the worse: an answer that is not promised does not come. And they fail on demand.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from peoplegraph.sandbox.collections import Collections
from peoplegraph.sandbox.control import control
from peoplegraph.sandbox.disputes import Disputes
from peoplegraph.sandbox.emulator import Emulator, Protocol
from peoplegraph.sandbox.faults import Fault, FaultError, Faults
from peoplegraph.sandbox.http import Ledger
from peoplegraph.sandbox.rpm import Rpm
from peoplegraph.sandbox.seed import seed
from peoplegraph.sandbox.serving import Server, serving
from peoplegraph.sandbox.store import Store

Blocks = dict[str, dict[str, str]]
"""What a gateway's settings say of each system: its block's name, and `url`, `api_key` and so on in it."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where the emulated systems are."""

    blocks: Blocks
    control_url: str
    """Where faults are switched."""


class Sandbox:
    """The three systems over one store, the ledger of the calls that they received, and their faults."""

    def __init__(self, data: Path | None = None) -> None:
        self.store = Store(data)
        if not self.store.seeded:
            seed(self.store)
        self.ledger = Ledger()
        self.faults = Faults()
        self.collections = Collections(self.store)
        self.disputes = Disputes(self.store)
        self.rpm = Rpm(self.store)
        self.systems = (self.collections, self.disputes, self.rpm)
        self._servers: list[Server] = []
        self._switching = asyncio.Lock()

    @asynccontextmanager
    async def running(
        self, host: str = "127.0.0.1", port: int = 0, faults: Sequence[Fault] = ()
    ) -> AsyncIterator[Running]:
        """Serve each system on a port of its own, from `port` on, or on free ones if it is 0.

        The switch of the faults comes behind them. Raises `OSError`, and `FaultError` for a system that is none.
        """
        emulators = [Emulator(system, self.ledger, self.faults) for system in self.systems]
        apps = (*emulators, control(self.faults, self.switch))
        async with serving(apps, host, port, lifespan="off", http=Protocol) as servers:
            *self._servers, switch = servers
            await self.switch(faults)
            blocks = {
                system.name.lower(): {"url": server.url + system.base, **system.settings}
                for server, system in zip(self._servers, self.systems, strict=True)
            }
            yield Running(blocks, f"{switch.url}/faults")

    async def switch(self, faults: Sequence[Fault]) -> None:
        """Switch these faults on, and all others off.

        Raises `FaultError`, and `OSError` where a port is no longer free.
        """
        names = [system.name.lower() for system in self.systems]
        for fault in faults:
            if fault.system not in names:
                raise FaultError(f"{str(fault)!r}: there is no system {fault.system!r}, only {', '.join(names)}")
        async with self._switching:
            self.faults.switch(faults)
            for server, system in zip(self._servers, self.systems, strict=True):
                if self.faults.refused(system.name):
                    await server.close()
                else:
                    await server.open()

    def close(self) -> None:
        """Close the store."""
        self.store.close()
