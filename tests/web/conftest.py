"""What tests of WebSockets and events share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from peoplegraph import create_app
from peoplegraph.commands.serve import UVICORN
from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.sandbox.serving import serving
from tests.gateway import settings_for
from tests.web.sockets import Serve


@pytest.fixture
def serve(sandbox: Sandbox, blocks: Blocks) -> Serve:
    """Serve gateways over real sockets."""
    del sandbox

    @asynccontextmanager
    async def served(**settings: Any) -> AsyncIterator[str]:
        app = create_app(settings_for(blocks, **settings))
        options = {**UVICORN, "ws_max_size": 10_000}
        async with serving((app,), "127.0.0.1", 0, lifespan="on", **options) as (server,):
            yield server.url.replace("http", "ws") + "/graphql"

    return served
