"""`peoplegraph doctor`: reaches each system with a harmless read, and the store, and says what is wrong."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from peoplegraph.backends import BACKENDS
from peoplegraph.context import own_context
from peoplegraph.errors import UpstreamError
from peoplegraph.settings import PREFIX, CredentialMode, Settings
from peoplegraph.upstream import build_engine

STORE = "Shared store"

_HINTS = {
    "UPSTREAM_UNAVAILABLE": "It may be down for the moment: try again.",
    "UPSTREAM_TIMEOUT": "Is {prefix}URL right, and does the network let the gateway reach it?",
    "UPSTREAM_BAD_RESPONSE": "Is {prefix}URL right, with the whole path of the API in it?",
    "UPSTREAM_UNAUTHORIZED": "Is {prefix}API_KEY right?",
    "FORBIDDEN": "Is {prefix}API_KEY right, and does its owner have the permission?",
    "UPSTREAM_RATE_LIMITED": "Its calls are used up for now: try later.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one system, or the shared store; `healthy` is None where nothing could be."""

    about: str
    healthy: bool | None
    text: str

    def __str__(self) -> str:
        mark = {True: "ok", False: "FAILED", None: "skipped"}[self.healthy]
        return f"{self.about}: {mark}: {self.text}"


async def examine(settings: Settings, begins: Callable[[str], object] = lambda _: None) -> AsyncIterator[Finding]:
    """Yield a finding for each system, and for the store if there is to be one.

    One read is made of each system, never again, and none where it has no URL. `begins` is told of each beforehand.
    """
    async with build_engine(settings) as engine:
        loop = asyncio.get_running_loop()
        for backend in BACKENDS:
            system = backend.system
            if system not in settings.configured:
                yield Finding(system.title, None, f"{PREFIX}{system.name}_URL is not set")
                continue
            if settings.system(system).credential is CredentialMode.CALLER:
                why = "it is called with the caller's own credential, and there is no caller"
                yield Finding(system.title, None, why)
                continue
            context = own_context("doctor", BACKENDS, settings, engine.send)
            began = loop.time()
            begins(system.title)
            try:
                await backend.check(context)
            except UpstreamError as error:
                hint = reason(error) or _HINTS.get(error.code, "")
                hint = hint.format(prefix=f"{PREFIX}{system.name}_")
                yield Finding(system.title, False, f"{error}. {hint}".strip())  # noqa: FBT003
            else:
                yield Finding(system.title, True, f"answered in {(loop.time() - began) * 1000:.0f} ms")  # noqa: FBT003
    if settings.shared.is_on:
        from peoplegraph.commands.store import examine_store  # noqa: PLC0415  # an extra

        begins(STORE)
        yield Finding(STORE, *await examine_store(settings))


def reason(error: BaseException) -> str | None:
    """Say why something cannot be reached, from what the operating system and TLS said of it."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError():
                return f"Its certificate is not trusted: {cause.verify_message}."
            case ssl.SSLError():
                return "It does not speak TLS as it should: is {prefix}URL right, port and all?"
            case socket.gaierror():
                return "The name in {prefix}URL is not known here."
            case ConnectionRefusedError():
                return "Nobody listens there: is {prefix}URL right, port and all?"
            case OSError() | TimeoutError():
                return "Is {prefix}URL right, and does the network let the gateway reach it?"
        cause = cause.__cause__ or cause.__context__
    return None
