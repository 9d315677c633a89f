"""The gateway as an ASGI application: whom a request is for, before it is looked at what it says."""

import logging
from collections.abc import Collection
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from peoplegraph.web.asking import ReadHeaders
from peoplegraph.web.graphql import Endpoint
from peoplegraph.web.hosts import Hosts
from peoplegraph.web.socket import Sockets

PATH = "/graphql"

log = logging.getLogger(__name__)


class Gateway(Starlette):
    """Starlette's application, past which the endpoint is met: its own middleware and routes cost 20 us a request.

    With middleware of somebody else's they are passed.
    """

    def __init__(self, endpoint: ASGIApp, sockets: Sockets, hosts: Hosts, **options: Any) -> None:
        super().__init__(routes=[Route(PATH, endpoint), WebSocketRoute(PATH, sockets)], **options)
        self._endpoint = endpoint
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "lifespan" and not self._hosts.allow(scope["headers"]):
            log.info("a request from %s is refused: its Host is no name of this gateway", scope.get("client"))
            if scope["type"] == "websocket":
                await WebSocketClose()(scope, receive, send)
                return
            refused = PlainTextResponse("This is not a name of this gateway (PEOPLEGRAPH_ALLOWED_HOSTS)\n", 400)
            await refused(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == PATH and not self.user_middleware:
            await self._endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


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
