"""The parts of the settings that say who may ask."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from peoplegraph.scopes import Scope
from peoplegraph.settings.blocks import secure_url

_HOST = re.compile(r"\*|(\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*|\[[0-9A-Fa-f:.]+\]")

ALGORITHMS = tuple("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split())
"""The signatures that a token may have: of a private key, never of a shared one, and never none."""


class TrustMode(StrEnum):
    """What becomes of a document that is not trusted."""

    OFF = "off"
    LOG = "log"
    ENFORCE = "enforce"


def _words(given: Any) -> Any:
    return given.replace(",", " ").split() if isinstance(given, str) else given


def _json(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        raise ValueError("must be JSON, a list of objects") from None


def _are_origins(given: tuple[str, ...]) -> tuple[str, ...]:
    for origin in given:
        scheme, separator, host = origin.partition("://")
        if scheme not in ("http", "https") or not separator or not host or set(host) & set("/*?#@"):
            raise ValueError("must be origins, such as https://app.example, without path or *")
    return given


def _is_digest(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().lower()
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise ValueError("must be the 64 hexadecimal digits that `peoplegraph api-key` prints")
    return SecretStr(text)


def _is_name(text: str) -> str:
    if not 1 <= len(text) <= 100 or not text.isprintable():
        raise ValueError("must be 1 to 100 printable characters")
    return text


def _are_hosts(given: tuple[str, ...]) -> tuple[str, ...]:
    for host in given:
        if not _HOST.fullmatch(host):
            raise ValueError("must be names without scheme, port and path, *.example for all below one, or *")
    return given


def _parts(given: Any) -> Any:
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given


def _are_algorithms(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in ALGORITHMS:
            raise ValueError(f"has {name[:20]!r}, and may have {', '.join(ALGORITHMS)}")
    return names


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
"""A list, in the environment with commas or spaces between."""

Origins = Annotated[Words, AfterValidator(_are_origins)]

Hosts = Annotated[Words, AfterValidator(_are_hosts)]

Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_parts)]
"""A list with commas between: there may be spaces in a path."""

Scopes = Annotated[frozenset[Scope], NoDecode, BeforeValidator(_words)]


class ApiKey(BaseModel):
    """A key that somebody may ask with, known by its SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, AfterValidator(_is_name)]
    sha256: Annotated[SecretStr, AfterValidator(_is_digest)]
    scopes: Annotated[frozenset[Scope], BeforeValidator(_words)]


ApiKeys = Annotated[tuple[ApiKey, ...], NoDecode, BeforeValidator(_json)]


class JwtSettings(BaseModel):
    """Tokens that somebody else signs: `PEOPLEGRAPH_JWT_…`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(default="", description="Who signs tokens: their `iss`; without one no token is taken.")
    audience: str = Field(default="", description="For whom tokens are: what their `aud` must have.")
    algorithms: Annotated[Words, AfterValidator(_are_algorithms)] = Field(
        default=("RS256", "ES256", "EdDSA"), description="The signatures that tokens may have."
    )
    jwks_url: Annotated[str, AfterValidator(secure_url)] = Field(
        default="", description="Where the issuer publishes its keys, as a JWK set."
    )
    jwks_file: Path | None = Field(default=None, description="A file that has them instead; read anew on change.")
    leeway_s: int = Field(
        default=30, ge=0, le=300, description="Seconds by which the issuer's clock may differ from ours."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> "JwtSettings":
        if self.issuer and not self.audience:
            raise ValueError("audience: is needed, or a token for anybody else would do")
        if self.jwks_url and self.jwks_file is not None:
            raise ValueError("jwks_url: there is PEOPLEGRAPH_JWT_JWKS_FILE, too, and it must be one of them")
        if self.issuer and not self.jwks_url and self.jwks_file is None:
            raise ValueError("jwks_url: is needed to check tokens, or else PEOPLEGRAPH_JWT_JWKS_FILE")
        if not self.issuer and (self.audience or self.jwks_url or self.jwks_file):
            raise ValueError("issuer: is needed to check tokens")
        return self
