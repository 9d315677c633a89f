"""`peoplegraph serve`: the gateway in one process or in several, from its first request to its last."""

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.config import STARTUP_FAILURE

from peoplegraph.app import create_app
from peoplegraph.observe import logs, metrics
from peoplegraph.observe.workers import share_in
from peoplegraph.settings import Settings, SettingsError
from peoplegraph.web.gateway import Gateway
from peoplegraph.web.server import MAX_MESSAGE_BYTES

UVICORN: dict[str, Any] = {
    "http": "peoplegraph.web.server:Protocol",
    "ws": "peoplegraph.web.server:SocketProtocol",
    "ws_per_message_deflate": False,  # what is small on the wire may be large in memory
}
"""How the gateway has uvicorn speak HTTP and WebSockets."""

START_S = 30
"""How long a worker may take to begin, or to answer who asks whether it lives."""

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; the workers read the settings themselves, from the environment."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    with ExitStack() as stack:
        if settings.workers > 1:
            share_in(Path(stack.enter_context(TemporaryDirectory(prefix="peoplegraph-metrics-"))))
        if settings.metrics.port:
            host, port = settings.metrics.host, settings.metrics.port
            stack.enter_context(metrics.served(host, port))
        uvicorn.run(
            "peoplegraph.commands.serve:worker",
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            log_config=None,
            server_header=False,
            access_log=False,
            timeout_graceful_shutdown=settings.grace_s,  # type: ignore[arg-type]  # fractions are fine
            timeout_worker_healthcheck=START_S,
            **UVICORN,
        )


def worker() -> Gateway:
    """Return the gateway, in a process of its own: it logs, hears signals, and has hardly any garbage."""
    settings = Settings.load()
    logs.configure(settings.log)
    try:
        gateway = create_app()
    except SettingsError as error:
        log.error("%s", error)  # noqa: TRY400  # the operator's own error
        raise SystemExit(STARTUP_FAILURE) from None
    inner: Any = gateway.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Any]:
        with _signals(gateway, settings), spans_sent(settings):
            async with inner(app):
                yield {MAX_MESSAGE_BYTES: lambda: gateway.front.settings.max_body_bytes}
        metrics.ended()

    gateway.router.lifespan_context = lifespan
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not look at the schema again and again
    gc.set_threshold(50_000, 20, 10)  # a request makes some thousand objects, and leaves hardly any behind
    return gateway


@contextmanager
def spans_sent(settings: Settings) -> Iterator[None]:
    """Send spans to a collector until the block ends, if the settings say so."""
    if not settings.traces:
        yield
        return
    from peoplegraph.observe.traces import export  # noqa: PLC0415  # an extra

    provider = export()
    try:
        yield
    finally:
        provider.shutdown()


@contextmanager
def _signals(gateway: Gateway, settings: Settings) -> Iterator[None]:
    """Let the gateway hear of SIGTERM, Ctrl-C and SIGHUP before uvicorn does.

    uvicorn ends a process with the signal that it got; its end by Ctrl-C has exit code 0, and so has any here.
    """
    loop = asyncio.get_running_loop()
    end: Callable[..., Any] = signal.getsignal(signal.SIGTERM)  # type: ignore[assignment]  # it is uvicorn's
    ending: list[asyncio.Task[None]] = []
    """At most one: whoever starts several processes may send each the same signal twice."""

    async def finish(wait_s: float) -> None:
        log.info("the gateway is not ready any more, and ends in %g s", wait_s)
        await asyncio.sleep(wait_s)
        await gateway.front.sockets.quiet(settings.grace_s)  # uvicorn closes WebSockets at once
        end(signal.SIGINT, None)

    def terminate() -> None:
        gateway.drain()
        if not ending:
            ending.append(asyncio.ensure_future(finish(settings.drain_s)))

    def interrupt() -> None:
        if gateway.health.is_draining:  # somebody is in a hurry
            end(signal.SIGINT, None)
            return
        gateway.drain()
        ending.append(asyncio.ensure_future(finish(0)))

    def reload() -> None:
        loop.run_in_executor(None, gateway.reload)

    handlers = {"SIGTERM": terminate, "SIGINT": interrupt, "SIGHUP": reload}
    heard = {getattr(signal, name): handle for name, handle in handlers.items() if hasattr(signal, name)}
    if callable(end):
        for number, handle in heard.items():
            with suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        for number in heard:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
