"""A network between one gateway and the store, that can be cut, or lose what is published."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Passes on what comes, as long as it is not told otherwise."""

    def __init__(self, port_behind: int) -> None:
        self._port_behind = port_behind
        self._writers: set[asyncio.StreamWriter] = set()
        self._passes_back = asyncio.Event()
        self._passes_back.set()
        self._is_cut = False
        self.port = 0

    @property
    def url(self) -> str:
        """The store's URL, by this way."""
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self) -> None:
        """Break off what there is, and let nobody in."""
        self._is_cut = True
        for writer in self._writers:
            writer.close()

    def mend(self) -> None:
        """Let pass again."""
        self._is_cut = False
        self._passes_back.set()

    def deafen(self) -> None:
        """Carry nothing that is published to the gateway any more, and say nothing of it."""
        self._passes_back.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """Take connections until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            self._passes_back.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.close()
            return
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._port_behind)
        mine = {writer, behind_writer}
        self._writers |= mine
        try:
            with suppress(ConnectionError):
                await asyncio.gather(self._pass(reader, behind_writer), self._pass(behind_reader, writer))
        finally:
            self._writers -= mine

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if b"message" in data:
                    await self._passes_back.wait()
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
