"""Serving ASGI applications on the running event loop, until the block ends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    """A server that leaves the signals alone: who runs several has its own idea of Ctrl-C."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serving(apps: Sequence[Any], host: str, port: int, *, lifespan: bool = False) -> AsyncIterator[list[str]]:
    """Serve each application on a port of its own, from `port` on, and yield their base URLs in order.

    A `port` of 0 takes free ones. At the end all stop at once, and requests under way have one second to
    finish. Raises `OSError`.
    """
    async with AsyncExitStack() as listening:
        listeners = []
        for offset in range(len(apps)):
            listeners.append(listen(host, port and port + offset))
            listening.callback(listeners[-1].close)
        servers = [_Server(_config(app, lifespan=lifespan)) for app in apps]
        tasks = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, listener in zip(servers, listeners, strict=True)
        ]
        try:
            while not all(server.started for server in servers):  # uvicorn has no event for it
                if any(task.done() for task in tasks):
                    raise OSError("a server did not start")
                await asyncio.sleep(0.005)
            shown = f"[{host}]" if ":" in host else host
            yield [f"http://{shown}:{listener.getsockname()[1]}" for listener in listeners]
        finally:
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)


def _config(app: Any, *, lifespan: bool) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on" if lifespan else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


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
