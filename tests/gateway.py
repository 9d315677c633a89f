"""A gateway under test: GraphQL requests in through its front door, and the calls that came out at the back."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.applications import Starlette

from peoplegraph import create_app
from peoplegraph.sandbox import Blocks, Sandbox
from peoplegraph.sandbox.http import RecordedCall
from peoplegraph.settings import Settings


@dataclass(frozen=True, slots=True)
class Reply:
    """A GraphQL response."""

    data: Any
    errors: list[dict[str, Any]]
    response: httpx.Response

    @property
    def codes(self) -> dict[str, str]:
        """The code of each error by its path, dotted."""
        return {".".join(map(str, error.get("path", ()))): error["extensions"]["code"] for error in self.errors}


class Gateway:
    """Asks a gateway, and sees what the emulated systems received since the question before."""

    def __init__(self, app: Starlette, client: httpx.AsyncClient, sandbox: Sandbox) -> None:
        self._app = app
        self._client = client
        self.sandbox = sandbox

    async def post(self, **request: Any) -> httpx.Response:
        """Send an HTTP request to the endpoint as it is."""
        return await self._client.post("/graphql", **request)

    async def get(self, **request: Any) -> httpx.Response:
        """Send a GET to the endpoint, with a header that no page can send to another origin by itself."""
        headers = {"apollo-require-preflight": "1", **request.pop("headers", {})}
        return await self._client.get("/graphql", headers=headers, **request)

    async def page(self, path: str, **request: Any) -> httpx.Response:
        """Get a path as a browser gets a page."""
        headers = {"accept": "text/html,*/*;q=0.8", **request.pop("headers", {})}
        return await self._client.get(path, headers=headers, **request)

    def from_address(self, address: str) -> httpx.AsyncClient:
        """Return a client whose requests come from an address."""
        return client_of(self._app, address)

    async def fetch(self, path: str, **request: Any) -> httpx.Response:
        """Get what is at another path than the endpoint's."""
        return await self._client.get(path, **request)

    async def request(self, method: str, **request: Any) -> httpx.Response:
        """Send a request with any method."""
        return await self._client.request(method, "/graphql", **request)

    async def ask(self, query: str, headers: Mapping[str, str] | None = None, **variables: Any) -> Reply:
        """Ask, whatever comes back."""
        self.sandbox.ledger.calls.clear()
        response = await self.post(json={"query": query, "variables": variables}, headers=headers)
        body = response.json()
        return Reply(body.get("data"), body.get("errors", []), response)

    async def data(self, query: str, **variables: Any) -> Any:
        """Ask, and return the data; any error fails the test."""
        reply = await self.ask(query, **variables)
        assert reply.errors == []
        return reply.data

    @property
    def calls(self) -> list[str]:
        """The upstream calls of the last question, as `RPM POST /Rep`, sorted."""
        return sorted(f"{call.system} {call}" for call in self.sandbox.ledger.calls)

    @property
    def recorded(self) -> list[RecordedCall]:
        """The upstream calls of the last question, in order."""
        return list(self.sandbox.ledger.calls)

    @property
    def writes(self) -> list[str]:
        """The upstream calls of the last question that change something, in order."""
        return [
            f"{call.system} {call}"
            for call in self.recorded
            if call.method != "GET" and call.target not in ("/Rep", "/AgentUsers")
        ]


def settings_for(blocks: Blocks, **overrides: Any) -> Settings:
    """Return settings that point at the emulated systems; an override of a system's block is laid over it.

    Nothing is kept across requests unless an override says so, so that calls can be counted.
    """
    laid_over = {name: {"cache_ttl_s": 0} | block | overrides.pop(name, {}) for name, block in blocks.items()}
    return Settings.load(_env_file=None, **laid_over, **overrides)


@asynccontextmanager
async def running_gateway(settings: Settings, sandbox: Sandbox) -> AsyncIterator[Gateway]:
    """Run a gateway with `settings` until the block ends."""
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        client_of(app, "127.0.0.1") as client,
    ):
        yield Gateway(app, client, sandbox)


def client_of(app: Starlette, address: str) -> httpx.AsyncClient:
    """Return a client of an application whose requests come from an address."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 123)), base_url="http://localhost")
