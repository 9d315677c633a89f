"""The gate: from what a request brings to its caller, or to a refusal."""

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import httpx

from peoplegraph.access.api_keys import ApiKeys, read_api_keys
from peoplegraph.access.caller import Caller, Unauthenticated
from peoplegraph.access.watch import Watched
from peoplegraph.settings import Settings, SettingsError, is_loopback

if TYPE_CHECKING:
    from peoplegraph.access.tokens import Tokens

FETCH_TIMEOUT_S = 5.0
MAX_JWKS_BYTES = 1_000_000


class Gate:
    """Tells who asks, by `Authorization: Bearer` with an API key or a token; or lets in who brings neither."""

    def __init__(self, settings: Settings) -> None:
        self.watched: list[Watched[Any]] = []
        self._open = Caller("anonymous", "open", settings.open_scopes) if settings.is_open else None
        self._opens_network = settings.open_to_network
        self._keys = self._api_keys(settings)
        self._tokens = self._jwt(settings)

    def __repr__(self) -> str:
        return f"<Gate {self._keys}, {self._tokens}, {'open' if self._open else 'closed'}>"

    async def admit(self, authorization: str | None, address: str) -> Caller:
        """Return who asks, from an address. Raises `Unauthenticated` or `KeysUnavailable`.

        A credential that is not valid lets nobody in, also where nobody needs one; where there is nothing to check
        one by, it does not matter. Who needs none asks from this machine, unless the network is open.
        """
        if self._open is not None and (authorization is None or (self._keys is None and self._tokens is None)):
            if self._opens_network or is_here(address):
                return self._open
            raise Unauthenticated(
                "A credential is needed, unless one asks from the gateway's own machine", given=False
            )
        if authorization is None:
            raise Unauthenticated("A credential is needed, in `Authorization: Bearer`", given=False)
        scheme, _, credential = authorization.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise Unauthenticated("The credential must be in `Authorization: Bearer`")
        if self._tokens is not None and credential.count(".") == 2:
            return await self._tokens.check(credential)
        caller = self._keys.value.find(credential) if self._keys is not None else None
        if caller is None:
            raise Unauthenticated("The credential is not valid")
        return caller

    def _api_keys(self, settings: Settings) -> Watched[ApiKeys] | None:
        path = settings.keys_file
        if not settings.api_keys and path is None:
            return None
        keys = Watched(
            [path] if path else [], lambda: ApiKeys([*settings.api_keys, *(read_api_keys(path) if path else [])])
        )
        self.watched.append(keys)
        return keys

    def _jwt(self, settings: Settings) -> "Tokens | None":
        if not settings.jwt.issuer:
            return None
        try:
            from peoplegraph.access.tokens import KeyRing, KeysInFile, Tokens, read_jwks_file  # noqa: PLC0415
        except ImportError:
            raise SettingsError("PEOPLEGRAPH_JWT_ISSUER: needs more: pip install 'peoplegraph[jwt]'") from None
        path = settings.jwt.jwks_file
        if path is None:
            return Tokens(settings.jwt, KeyRing(lambda: fetched(settings.jwt.jwks_url)))
        in_file = Watched([path], lambda: read_jwks_file(path))
        self.watched.append(in_file)
        return Tokens(settings.jwt, KeysInFile(in_file))


@lru_cache(maxsize=1000)
def is_here(address: str) -> bool:
    """Whether an address is this machine's own, for itself; it is what a proxy that is trusted says it is."""
    return is_loopback(address)


async def fetched(url: str) -> bytes:
    """Get a JWK set, in the time and of the size that there may be; raises `OSError` where that fails."""
    try:
        async with (
            asyncio.timeout(FETCH_TIMEOUT_S),
            httpx.AsyncClient() as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != 200:
                raise OSError(f"status {answer.status_code}")
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_JWKS_BYTES:
                    raise OSError("too large")
            return bytes(body)
    except httpx.HTTPError as error:
        raise OSError(type(error).__name__) from None
