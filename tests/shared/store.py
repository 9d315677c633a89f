"""A Valkey or Redis of a test's own: one that can be stopped, go on, be killed and begin anew."""

import asyncio
import os
import shutil
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")
KEY = b64encode(bytes(range(32))).decode()


class Store:
    """The process, on a TCP port of loopback; nothing of it is on a disk."""

    def __init__(self, port: int, folder: Path, *options: str) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._folder = folder
        self._options = options
        self._process: Process | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a gateway that shares it."""
        return {"url": self.url, "key": KEY}

    async def start(self) -> None:
        """Begin, with nothing in it, and take connections."""
        assert SERVER is not None, "neither valkey-server nor redis-server is installed"
        options = ("--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no")
        self._process = await asyncio.create_subprocess_exec(
            SERVER, *options, *self._options, "--dir", str(self._folder), stdout=DEVNULL, stderr=DEVNULL
        )
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return

    async def kill(self) -> None:
        """End, at once."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Do nothing any more, connections and all."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """Look into it."""
        client = redis.asyncio.Redis.from_url(self.url)
        try:
            yield client
        finally:
            await client.aclose()


@asynccontextmanager
async def running_store(folder: Path, *options: str) -> AsyncIterator[Store]:
    """Run one until the block ends, with options of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = Store(port, folder, *options)
    await store.start()
    try:
        yield store
    finally:
        await store.kill()
