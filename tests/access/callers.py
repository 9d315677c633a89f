"""Callers for tests: keys and tokens of theirs, and what they hear."""

import time
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from peoplegraph.access.api_keys import new_key
from peoplegraph.scopes import Scope
from tests.gateway import Gateway, Reply

ISSUER, AUDIENCE = "https://login.example/", "peoplegraph"
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
OTHER = RSAKey.generate_key(2048, {"kid": "rsa"})
QUERY = '{ representative(reference: "REP-001") { reference } }'


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token, with changes; None leaves one out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "iat": now,
        "exp": now + 300,
        "scope": "openid representatives:read",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(key: Any = RSA, algorithm: str = "RS256", header: Any = None, **changes: Any) -> str:
    """Sign a token."""
    registry = JWSRegistry({"x": HeaderParameter("x", "int")}, [algorithm], strict_check_header=False)
    all_headers = {"alg": algorithm, "kid": key.kid, **(header or {})}
    return jwt.encode(all_headers, claims(**changes), key, [algorithm], registry)


def jwks(*keys: Any) -> dict[str, Any]:
    """Return a JWK set of public keys."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def by_token(jwks_file: Path, **more: Any) -> dict[str, Any]:
    """Return the settings that take tokens."""
    return {"jwt": {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": jwks_file, **more}}


def entry(name: str, *scopes: Scope) -> tuple[str, dict[str, Any]]:
    """Make a key, and the settings' entry of it."""
    key, sha256 = new_key()
    return key, {"name": name, "sha256": sha256, "scopes": list(scopes)}


async def ask(gateway: Gateway, credential: str | None, scheme: str = "Bearer") -> Reply:
    """Ask with a credential."""
    return await gateway.ask(QUERY, {"authorization": f"{scheme} {credential}"} if credential is not None else None)


def is_refused(gateway: Gateway, reply: Reply, *, given: bool = True) -> bool:
    """Whether an answer is a 401 as it should be, and nobody was called."""
    challenge = reply.response.headers.get("www-authenticate", "")
    (error,) = reply.response.json()["errors"]
    assert reply.response.headers["content-type"].startswith("application/json")
    assert error["extensions"]["requestId"] == reply.response.headers["x-request-id"]
    assert gateway.calls == []
    return (
        reply.response.status_code == 401
        and challenge.startswith('Bearer realm="peoplegraph"')
        and ('error="invalid_token"' in challenge) is given
        and error["extensions"]["code"] == "UNAUTHENTICATED"
        and "data" not in reply.response.json()
    )
