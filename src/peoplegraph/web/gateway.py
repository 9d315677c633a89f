"""The gateway as an ASGI application: whom a request is for, before it is looked at what it says."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from threading import Lock
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from peoplegraph.access.gate import Gate
from peoplegraph.access.quotas import Quotas
from peoplegraph.access.watch import Watched
from peoplegraph.observe import metrics
from peoplegraph.settings import Settings, SettingsError
from peoplegraph.web.asking import ReadHeaders
from peoplegraph.web.graphql import Endpoint
from peoplegraph.web.health import Health, exposed
from peoplegraph.web.hosts import Hosts
from peoplegraph.web.operations import Operations
from peoplegraph.web.pages import Pages
from peoplegraph.web.socket import Sockets

PATH = "/graphql"

PROBES = ("/healthz", "/readyz")
"""What is asked by a machine's address, and tells nothing that is anybody's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """What stands before the systems, as its settings say; another takes its place when they change."""

    settings: Settings
    http: ASGIApp
    sockets: Sockets
    hosts: Hosts
    gate: Gate
    quotas: Quotas
    operations: Operations
    pages: Pages
    watched: Collection[Watched[Any]]
    """The files that are read anew when they change."""


class Gateway(Starlette):
    """Starlette's application, past which the endpoint is met: its own middleware and routes cost 20 us a request.

    With middleware of somebody else's they are passed. `reload` puts another front in place, for requests to come.
    """

    def __init__(
        self,
        front: Front,
        health: Health,
        files: Watched[Any],
        change: Callable[[Front], Front] | None = None,
        **options: Any,
    ) -> None:
        self.front = front
        self.health = health
        self._files = files
        self._reading = Lock()
        """A signal and a change of a file are heard in threads of their own."""
        self._change = change
        super().__init__(
            routes=[
                Route(PATH, _Delegate(lambda: self.front.http)),
                WebSocketRoute(PATH, _Delegate(lambda: self.front.sockets)),
                Route("/healthz", health.live),
                Route("/readyz", health.ready),
                Route("/metrics", self._metrics),
                Route("/dashboard", _Delegate(lambda: self.front.pages.dashboard), methods=["GET"]),
                Route("/assets/{name}", _Delegate(lambda: self.front.pages.asset), methods=["GET"]),
            ],
            **options,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "lifespan" and not self._is_meant(scope):
            address = (scope.get("client") or ("nowhere",))[0]
            log.info("a request from %s is refused: its Host is no name of this gateway", address)
            metrics.requests(scope["type"], 400).inc()
            if scope["type"] == "websocket":
                await WebSocketClose()(scope, receive, send)
                return
            refused = PlainTextResponse("This is not a name of this gateway (PEOPLEGRAPH_ALLOWED_HOSTS)\n", 400)
            await refused(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == PATH and not self.user_middleware:
            await self.front.http(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    @property
    def has_files(self) -> bool:
        """Whether there are files to look at; where there are none, no settings come that name one."""
        return any(watched.paths for watched in (self._files, *self.front.watched))

    def look(self) -> None:
        """Read what is in files anew, if it has changed."""
        with self._reading:
            for watched in self.front.watched:
                watched.look()
            if self._files.has_changed():
                self._read_settings()

    def reload(self) -> None:
        """Read settings, keys and trusted documents anew; what cannot be read changes nothing."""
        with self._reading:
            for watched in self.front.watched:
                watched.reread()
            self._read_settings()

    def _read_settings(self) -> None:
        if self._change is None:
            return
        try:
            front = self._change(self.front)
        except SettingsError as error:
            log.error("the settings stay as they were: %s", error)  # noqa: TRY400  # the operator's own error
        except Exception:  # whatever it is, the next change is looked at
            log.exception("the settings stay as they were")
        else:
            if front is not self.front:
                self.front.sockets.successor = front.sockets
                self.front = front

    def drain(self) -> None:
        """Be ready no more: the gateway is about to end."""
        self.health.is_draining = True

    def _is_meant(self, scope: Scope) -> bool:
        return self.front.hosts.allow(scope["headers"]) or (scope["type"] == "http" and scope["path"] in PROBES)

    async def _metrics(self, request: Request) -> Response:
        return await exposed(request, self.front.gate, to_everybody=self.front.settings.shows_metrics)


class _Delegate:
    """An ASGI application that is another one, whichever that is by now."""

    def __init__(self, current: Callable[[], ASGIApp]) -> None:
        self._current = current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._current()(scope, receive, send)


def for_other_origins(endpoint: Endpoint, origins: Collection[str], read_headers: ReadHeaders) -> ASGIApp:
    """Let pages of other origins ask, if there are any."""
    if not origins:
        return endpoint
    return CORSMiddleware(
        endpoint,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=[*read_headers.names],
        expose_headers=["RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-Id"],
    )
