"""What one request carries: its loaders, its caller's credentials, its deadline and its id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import strawberry

from peoplegraph.errors import NotConfigured, Unauthorized
from peoplegraph.settings import CredentialMode, Settings
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Credential, Send

if TYPE_CHECKING:
    from peoplegraph.backends.base import Backend

L = TypeVar("L")


@dataclass(frozen=True, slots=True)
class Session:
    """What a client needs of the request that it works for; `deadline` is on the running loop's clock."""

    send: Send
    credential: Credential
    deadline: float


class Context:
    """One GraphQL request. Loaders are made when first asked for, inside the running loop."""

    def __init__(  # noqa: PLR0913  # it is a request's belongings
        self,
        *,
        settings: Settings,
        send: Send,
        backends: "Sequence[Backend]",
        caller_headers: Mapping[str, str],
        deadline: float,
        request_id: str,
    ) -> None:
        self.settings = settings
        self.request_id = request_id
        self._send = send
        self._backends = {backend.system: backend for backend in backends}
        self._caller_headers = caller_headers
        self._deadline = deadline
        self._loaders: dict[type, Any] = {}
        self.stale: set[System] = set()
        """The systems that fail, and were answered for from what was kept of them."""

    def loaders(self, kind: type[L]) -> L:
        """Return this request's loaders of one backend; raises `NotConfigured` or `Unauthorized`."""
        made = self._loaders.get(kind)
        if made is None:
            backend = next(b for b in self._backends.values() if b.loaders is kind)
            made = self._loaders[kind] = backend.connect(self)
        return cast("L", made)

    def backend(self, system: System) -> "Backend":
        """Return the backend of a system, configured or not."""
        return self._backends[system]

    @property
    def configured(self) -> tuple[System, ...]:
        """The systems that have a URL."""
        return tuple(self.settings.configured)

    def session(self, system: System, credential: Credential | None = None) -> Session:
        """Open the way to a system, with the credential that the settings say unless one is given."""
        if system not in self.settings.configured:
            raise NotConfigured(system, f"{system.title} is not configured in this gateway")
        return Session(self._noting_stale, credential or self._credential(system), self._deadline)

    async def _noting_stale(self, call: Call) -> Answer:
        """Send a call, and keep in mind which systems were answered for from what is no longer fresh."""
        answer = await self._send(call)
        if answer.stale:
            self.stale.add(call.system)
        return answer

    def caller_credential(self, system: System) -> Credential | None:
        """Return the vendor's own header of the caller's request, if it sent one; raises `Unauthorized`."""
        for header in self._backends[system].credential_headers:
            secret = self._caller_headers.get(header.lower())
            if secret:
                if not (secret.isascii() and secret.isprintable()):
                    raise Unauthorized(system, f"The credential in {header} is not printable ASCII")
                return Credential(header, secret)
        return None

    def gateway_credential(self, system: System) -> Credential | None:
        """Return the gateway's own key, if it has one."""
        key = self.settings.system(system).api_key
        if key is None:
            return None
        return Credential(self._backends[system].credential_headers[0], key.get_secret_value())

    def _credential(self, system: System) -> Credential:
        mode = self.settings.system(system).credential
        credential = None
        if mode is not CredentialMode.GATEWAY:
            credential = self.caller_credential(system)
        if mode is not CredentialMode.CALLER:
            credential = credential or self.gateway_credential(system)
        if credential is None:
            headers = " or ".join(self._backends[system].credential_headers)
            raise Unauthorized(system, f"{system.title} needs the caller's own credential, in {headers}")
        return credential


Info = strawberry.Info[Context, None]
"""What resolvers get."""
