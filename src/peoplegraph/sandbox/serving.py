"""Serving ASGI applications on the running event loop, until the block ends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn


class _Uvicorn(uvicorn.Server):
    """A server that leaves the signals alone: who runs several has its own idea of Ctrl-C."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class Server:
    """One application on one port, which can be closed and opened again."""

    def __init__(self, app: Any, host: str, port: int, config: Mapping[str, Any]) -> None:
        self._app = app
        self._config = config
        self._host = host
        self._port = port
        self._running: tuple[_Uvicorn, asyncio.Task[None]] | None = None

    @property
    def url(self) -> str:
        """The base URL."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def open(self) -> None:
        """Listen, if it does not; on a free port if none was given. Raises `OSError`."""
        if self._running:
            return
        listener = listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        server = _Uvicorn(
            uvicorn.Config(
                self._app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
                **self._config,
            )
        )
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # uvicorn has no event for it
            if task.done():
                listener.close()
                raise OSError("a server did not start")
            await asyncio.sleep(0.005)
        self._running = server, task

    async def close(self) -> None:
        """Stop at once; requests under way have one second to finish."""
        if self._running:
            server, task = self._running
            self._running = None
            server.should_exit = True
            await task


@asynccontextmanager
async def serving(apps: Sequence[Any], host: str, port: int, **config: Any) -> AsyncIterator[list[Server]]:
    """Serve each application on a port of its own, from `port` on, or on free ones if it is 0.

    What uvicorn should know beside goes in `config`. Raises `OSError`.
    """
    servers = [Server(app, host, port and port + offset, config) for offset, app in enumerate(apps)]
    try:
        for server in servers:
            await server.open()
        yield servers
    finally:
        await asyncio.gather(*(server.close() for server in servers))


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket that asyncio knows for TCP: it sets TCP_NODELAY on no other, and answers took 40 ms."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener
