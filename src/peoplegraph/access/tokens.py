"""JSON Web Tokens that somebody else signs: RFC 7519, checked by joserfc, as RFC 8725 advises."""

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, Protocol

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, KeySet
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry, decode

from peoplegraph.access.caller import Caller, KeysUnavailable, Unauthenticated
from peoplegraph.access.watch import Watched
from peoplegraph.flight import Abandoned, Flight
from peoplegraph.scopes import Scope
from peoplegraph.settings import JwtSettings, SettingsError

MAX_TOKEN_CHARACTERS = 8_192
MAX_SUBJECT_CHARACTERS = 255
"""As OpenID Connect has it."""

MAX_KEYS = 100

FRESH_S = 600.0
"""For how long keys are used before they are fetched anew, which nobody waits for."""

COOLDOWN_S = 10.0
"""How long after a fetch a token with an unknown key causes no other."""

OLDEST_S = 24 * 3600.0
"""For how long keys are used where they cannot be fetched anew."""

REMEMBERED_S = 60.0
"""For how long a token need not be checked again; so long does one outlive its key, at most."""

MAX_REMEMBERED = 10_000

Fetch = Callable[[], Awaitable[bytes]]
"""Gets a JWK set; raises `OSError` where it cannot be had."""

log = logging.getLogger(__name__)


class UnknownKey(Exception):
    """The token was signed with a key that is not among those that are known."""


class Keys(Protocol):
    """Where the issuer's keys are had from."""

    async def keys(self) -> KeySet:
        """Return the keys; raises `KeysUnavailable`."""

    async def look_for_more(self) -> KeySet | None:
        """Return the keys as they are now, for a token whose key is unknown; None if there can be no more."""


class KeyRing:
    """The issuer's keys: fetched when first needed, when they are old, and for a token with an unknown one."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys = KeySet([])
        self._had: float | None = None
        self._tried: float | None = None
        self._flight: Flight[None] | None = None
        self._renewal: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<KeyRing {len(self._keys.keys)} keys>"

    async def keys(self) -> KeySet:
        """Return the keys; raises `KeysUnavailable`."""
        now = self._clock()
        if self._had is None or now - self._had > OLDEST_S:
            await self._renew()
            if self._had is None or self._clock() - self._had > OLDEST_S:
                raise KeysUnavailable
        elif now - self._had > FRESH_S and not self._is_cooling(now):
            self._renewal = asyncio.create_task(self._renew())  # kept, or it might be collected
        return self._keys

    async def look_for_more(self) -> KeySet | None:
        """Return the keys as they are now, for a token whose key is unknown; None if it is too early to ask."""
        if self._is_cooling(self._clock()) and self._flight is None:
            return None
        await self._renew()
        return self._keys

    def _is_cooling(self, now: float) -> bool:
        return self._tried is not None and now - self._tried < COOLDOWN_S

    async def _renew(self) -> None:
        """Fetch the keys, together with whoever wants that meanwhile; where it fails they stay as they were."""
        while self._flight is not None:
            try:
                return await self._flight.follow()
            except Abandoned:
                continue
        if self._is_cooling(self._clock()):
            return None
        self._flight = Flight()
        try:
            return await self._flight.lead(self._fetch_keys())
        finally:
            self._flight = None

    async def _fetch_keys(self) -> None:
        self._tried = self._clock()
        try:
            keys = read_jwks(await self._fetch())
        except (OSError, ValueError) as error:
            log.warning("the keys of the tokens' issuer cannot be had: %s", error)
            return
        self._keys = keys
        self._had = self._clock()


class KeysInFile:
    """The issuer's keys, in a file that is watched."""

    def __init__(self, watched: Watched[KeySet]) -> None:
        self._watched = watched

    async def keys(self) -> KeySet:
        """Return the keys."""
        return self._watched.value

    async def look_for_more(self) -> KeySet | None:
        """Return None: the file is looked at anyway."""
        return None


def read_jwks_file(path: Path) -> KeySet:
    """Read a JWK set from a file. Raises `SettingsError`."""
    try:
        return read_jwks(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"PEOPLEGRAPH_JWT_JWKS_FILE: {path}: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"PEOPLEGRAPH_JWT_JWKS_FILE: {path}: {error}") from None


def read_jwks(body: bytes) -> KeySet:
    """Read a JWK set; what is no public key for signatures is left out. Raises `ValueError` for what is none."""
    try:
        entries = json.loads(body)["keys"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ValueError("it is not a JWK set") from None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError(f"it is not a JWK set of up to {MAX_KEYS} keys")
    keys = []
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("kty") == "oct" or entry.get("use", "sig") != "sig":
            continue
        try:
            keys.append(JWKRegistry.import_key(entry))
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one, the others are good
            log.warning("a key of the tokens' issuer is left out: %s", type(error).__name__)
    return KeySet(keys)


def verify(token: str, keys: KeySet, settings: JwtSettings, now_unix: float) -> dict[str, Any]:
    """Return the claims of a token. Raises `Unauthenticated`, or `UnknownKey`.

    Its signature must be right, by one of the algorithms allowed; and it must name the issuer, the audience, a
    subject, and an end that is not past.
    """

    def pick(signed: Any) -> Any:
        headers = signed.headers()
        try:
            return keys.get_by_kid(headers.get("kid"), {"alg": headers["alg"], "use": "sig"})
        except JoseError:
            raise UnknownKey from None

    registry = JWSRegistry(algorithms=list(settings.algorithms), strict_check_header=False)
    claims_registry = JWTClaimsRegistry(
        now=int(now_unix),
        leeway=settings.leeway_s,
        iss={"essential": True, "value": settings.issuer},
        aud={"essential": True, "value": settings.audience},
        sub={"essential": True},
        exp={"essential": True},
    )
    try:
        claims = decode(token, pick, registry=registry).claims
        claims_registry.validate(claims)
    except UnknownKey:
        raise
    except JoseError as error:
        claim = getattr(error, "claim", None)
        raise Unauthenticated(f"The token is not valid: {error.error}{f' {claim}' if claim else ''}") from None
    except Exception as error:  # it may hold anything
        log.debug("a token is refused", exc_info=True)
        raise Unauthenticated("The token is not valid") from error
    if len(claims["sub"]) > MAX_SUBJECT_CHARACTERS or not claims["sub"].isprintable():
        raise Unauthenticated(f"The token's subject must be up to {MAX_SUBJECT_CHARACTERS} printable characters")
    return claims


def scopes_of(claims: dict[str, Any]) -> frozenset[Scope]:
    """Return the scopes in a token: `scope` as RFC 8693 has it, or `scp`; those of other services do not matter."""
    given = claims.get("scope", claims.get("scp", ""))
    words: Collection[Any] = given.split() if isinstance(given, str) else given if isinstance(given, list) else ()
    return frozenset(scope for scope in Scope if scope in words)


class Tokens:
    """Tells whose a token is, and remembers it for a while."""

    def __init__(
        self,
        settings: JwtSettings,
        ring: Keys,
        clock: Callable[[], float] = time.time,
        most: int = MAX_REMEMBERED,
    ) -> None:
        self._most = most
        self._settings = settings
        self._ring = ring
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Tokens {len(self._known)} remembered, {self._ring!r}>"

    async def check(self, token: str) -> Caller:
        """Return whose token it is. Raises `Unauthenticated` or `KeysUnavailable`."""
        now = self._clock()
        known = self._known.get(token)
        if known is not None and now < known[0]:
            return known[1]
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise Unauthenticated("The token is too long")
        try:
            claims = verify(token, await self._ring.keys(), self._settings, now)
        except UnknownKey:
            more = await self._ring.look_for_more()
            try:
                claims = verify(token, more or KeySet([]), self._settings, now)
            except UnknownKey:
                raise Unauthenticated("The token's key is not known") from None
        caller = Caller(claims["sub"], "token", scopes_of(claims))
        self._known[token] = (min(claims["exp"] + self._settings.leeway_s, now + REMEMBERED_S), caller)
        self._known.move_to_end(token)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return caller
