"""The wiring diagram: settings → upstream path → request contexts → schema → endpoint."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from peoplegraph.backends import BACKENDS
from peoplegraph.context import Context, ways_to
from peoplegraph.engine import Engine, Limits
from peoplegraph.graph.cost import Budget
from peoplegraph.schema import NODE_CALLS, build_schema
from peoplegraph.settings import Settings, unknown_variables
from peoplegraph.systems import System
from peoplegraph.upstream import Upstream, build_upstream
from peoplegraph.web.graphql import Endpoint, Headers, deadline_s
from peoplegraph.web.sharing import Sharing

PATH = "/graphql"

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> Starlette:
    """Return the gateway as an ASGI application; without `settings` they are read from the environment.

    Its lifespan opens and closes the connections to the upstreams. Raises `SettingsError`.
    """
    settings = settings or Settings.load()

    upstream: Upstream | None = None

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        nonlocal upstream
        _say(settings)
        async with build_upstream(settings) as upstream:
            yield

    def make_context(headers: Headers, request_id: str) -> Context:
        if upstream is None:
            raise RuntimeError("the application's lifespan has not begun: its server must run it")
        return Context(
            ways=ways,
            send=upstream.send,
            settings=settings,
            caller_headers=headers,
            deadline=asyncio.get_running_loop().time() + deadline_s(headers, settings.deadline_s),
            request_id=request_id,
        )

    ways = ways_to(BACKENDS, settings)

    limits = Limits(
        characters=settings.max_document_characters,
        tokens=settings.max_document_tokens,
        depth=settings.max_depth,
        aliases=settings.max_aliases,
        root_fields=settings.max_root_fields,
        directives=settings.max_directives,
    )
    schema = build_schema()
    calls = {**NODE_CALLS, **{name: calls for backend in BACKENDS for name, calls in backend.calls.items()}}
    budget = Budget(calls, settings.max_upstream_calls)
    engine = Engine(schema, limits, compiles=settings.compile, check=budget.check)
    shares = settings.share_operations and settings.workers == 1
    endpoint = Endpoint(
        schema,
        engine,
        make_context,
        max_body_bytes=settings.max_body_bytes,
        max_batch=settings.max_batch,
        sharing=Sharing(settings.deadline_s / 2) if shares else None,
        credential_headers=[header for backend in BACKENDS for header in backend.credential_headers],
    )
    return Gateway(endpoint, lifespan=lifespan)


class Gateway(Starlette):
    """Starlette's application, past which the endpoint is met: its own middleware and routes cost 20 us a request.

    With middleware of somebody else's they are passed.
    """

    def __init__(self, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(routes=[Route(PATH, endpoint)], **options)
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"] == PATH and not self.user_middleware:
            await self._endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _say(settings: Settings) -> None:
    """Log which systems are there, and what in the environment is no setting."""
    for system in System:
        if system in settings.configured:
            log.info("%s: %s", system.title, settings.configured[system].url)
        else:
            log.warning("%s has no URL and is left out: its fields answer null", system.title)
    if settings.workers > 1:
        log.warning("with several workers no answers are kept: one does not see the writes of another")
    for name, meant in unknown_variables():
        log.warning("%s is no setting%s", name, f"; is it {meant}?" if meant else "")
