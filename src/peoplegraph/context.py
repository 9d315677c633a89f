"""What one request carries: its loaders, its caller's credentials, its deadline and its id."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import strawberry

from peoplegraph.access.caller import Caller
from peoplegraph.errors import NotConfigured, Unauthorized
from peoplegraph.graph.scoped import missing
from peoplegraph.scopes import Scope
from peoplegraph.settings import CredentialMode, Settings
from peoplegraph.systems import System
from peoplegraph.upstream.call import Credential, Send
from peoplegraph.upstream.trail import Trail

if TYPE_CHECKING:
    from peoplegraph.backends.base import Backend

L = TypeVar("L")


class Session(msgspec.Struct):
    """What a client needs of the request that it works for; its times are on the running loop's clock."""

    send: Send
    credential: Credential
    deadline: float
    since: float = 0.0
    trail: Trail | None = None
    stale: set[System] = msgspec.field(default_factory=set)
    """Takes the systems that fail, and are answered for from what was kept of them."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the gateway reaches one system, the same in every request."""

    backend: "Backend"
    is_configured: bool
    mode: CredentialMode
    credential: Credential | None
    """The gateway's own."""


def ways_to(backends: "Iterable[Backend]", settings: Settings) -> Mapping[System, Way]:
    """Return the ways to all systems, those that are not configured included."""
    ways = {}
    for backend in backends:
        block = settings.system(backend.system)
        key = block.api_key
        credential = Credential(backend.credential_headers[0], key.get_secret_value()) if key else None
        ways[backend.system] = Way(backend, bool(block.url), block.credential, credential)
    return ways


class Context:
    """One GraphQL request. Loaders are made when first asked for, inside the running loop."""

    def __init__(  # noqa: PLR0913  # it is a request's belongings
        self,
        *,
        ways: Mapping[System, Way],
        send: Send,
        settings: Settings,
        caller: Caller,
        caller_headers: Mapping[str, str],
        deadline: float,
        request_id: str,
        charge: Callable[[float], None] | None = None,
    ) -> None:
        self.settings = settings
        self.request_id = request_id
        self.caller = caller
        self.trail = Trail(charge, request_id)
        self._ways = ways
        self._send = send
        self.stale: set[System] = set()
        self.representations = 0
        """How many records a router has asked for by now; see `graph/federation.py`."""
        self._caller_headers = caller_headers
        self._deadline = deadline
        self._since = asyncio.get_running_loop().time()
        self._loaders: dict[type, Any] = {}

    def loaders(self, kind: type[L], scope: Scope | None = None) -> L:
        """Return this request's loaders of one backend, for a caller with `scope`, where one is named.

        Raises `MissingScope`, `NotConfigured` or `Unauthorized`.
        """
        if scope is not None:
            self.require(scope)
        made = self._loaders.get(kind)
        if made is None:
            for way in self._ways.values():
                if way.backend.loaders is kind:
                    made = self._loaders[kind] = way.backend.connect(self)
        return cast("L", made)

    def require(self, scope: Scope) -> None:
        """Raise `MissingScope` unless the caller has a scope."""
        if scope not in self.caller.scopes:
            raise missing(scope)

    @property
    def configured(self) -> Collection[System]:
        """The systems that have a URL."""
        return [system for system, way in self._ways.items() if way.is_configured]

    def way(self, system: System) -> Way:
        """Return the way to a system, configured or not."""
        return self._ways[system]

    def session(self, system: System, credential: Credential | None = None) -> Session:
        """Open the way to a system, with the credential that the settings say unless one is given."""
        way = self._ways[system]
        if not way.is_configured:
            raise NotConfigured(system, f"{system.title} is not configured in this gateway")
        return Session(
            self._send, credential or self._credential(way), self._deadline, self._since, self.trail, self.stale
        )

    def caller_credential(self, system: System) -> Credential | None:
        """Return the vendor's own header of the caller's request, if it sent one; raises `Unauthorized`."""
        for header in self._ways[system].backend.credential_headers:
            secret = self._caller_headers.get(header.lower())
            if secret:
                if not (secret.isascii() and secret.isprintable()):
                    raise Unauthorized(system, f"The credential in {header} is not printable ASCII")
                return Credential(header, secret)
        return None

    def owner_of(self, credential: Credential) -> str:
        """Return whose credential it is: the `gateway`'s, or the `caller`'s own."""
        return "gateway" if any(credential == way.credential for way in self._ways.values()) else "caller"

    def _credential(self, way: Way) -> Credential:
        credential = None
        if way.mode is not CredentialMode.GATEWAY:
            credential = self.caller_credential(way.backend.system)
        if way.mode is not CredentialMode.CALLER:
            credential = credential or way.credential
        if credential is None:
            headers = " or ".join(way.backend.credential_headers)
            system = way.backend.system
            raise Unauthorized(system, f"{system.title} needs the caller's own credential, in {headers}")
        return credential


def own_context(name: str, backends: "Iterable[Backend]", settings: Settings, send: Send) -> Context:
    """Return the context of what a command asks for itself: by the gateway's own keys, and free to do anything."""
    return Context(
        ways=ways_to(backends, settings),
        send=send,
        settings=settings,
        caller=Caller(name, "open", frozenset(Scope)),
        caller_headers={},
        deadline=asyncio.get_running_loop().time() + settings.deadline_s,
        request_id=name,
    )


Info = strawberry.Info[Context, None]
"""What resolvers get."""
