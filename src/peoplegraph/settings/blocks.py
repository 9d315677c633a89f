"""The parts that settings are made of: a block for each system, and how one of them may be spelled."""

import ipaddress
import re
from enum import StrEnum
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

_HOST = re.compile(r"[0-9a-z_-]{1,63}(\.[0-9a-z_-]{1,63})*\.?|[0-9a-f:.]+(%[0-9a-z]+)?")
"""A name as DNS has it, or an address, in the small letters that `urlsplit` gives."""

_ENCODED = re.compile(r"(?:[!$&-;=@A-Z_a-z~\[\]]|%[0-9A-Fa-f]{2})*")
"""A path whose every character stands for itself, or is percent-encoded."""


class CredentialMode(StrEnum):
    """Whose credential goes to a system."""

    GATEWAY = "gateway"
    CALLER = "caller"
    CALLER_OR_GATEWAY = "caller-or-gateway"


class UpstreamEngine(StrEnum):
    """What carries calls to the systems."""

    HTTP1 = "http1"
    HTTPX = "httpx"


class CurrentAssignee(StrEnum):
    """Whom `currentAssignee` answers for when the caller sent no credential of its own."""

    CALLER = "caller"
    KEY_OWNER = "key-owner"


def _system_url(text: str) -> str:
    """Check a system's base URL and drop its trailing slash; an empty one is as good as none."""
    if not text:
        return text
    url = urlsplit(secure_url(text))
    if "?" in text:
        raise ValueError("must have no query, fragment or user")
    if not _ENCODED.fullmatch(url.path):
        raise ValueError("must be percent-encoded")
    if {".", ".."} & set(map(unquote, url.path.split("/"))):
        raise ValueError("must have no . or .. in its path")
    return url._replace(path=url.path.rstrip("/")).geturl()


def secure_url(text: str) -> str:
    """Check a URL: https, or http on loopback; an empty one is as good as none.

    What is wrong is said without the URL: there may be a secret in it.
    """
    if not text:
        return text
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ValueError("must be an http(s) URL with a host, and no user") from None
    if url.scheme not in {"http", "https"} or not _HOST.fullmatch(host) or port == 0:
        raise ValueError("must be an http(s) URL with a host")
    if "@" in url.netloc or "#" in text:
        raise ValueError("must have no query, fragment or user")
    if url.scheme == "http" and not is_loopback(host):
        raise ValueError("plain http is for loopback addresses only; use https")
    return text


def _disputes_url(text: str) -> str:
    if "/tenants" in text:
        raise ValueError("must end before /tenants")
    return text


def _header_safe(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError("must be printable ASCII without spaces around it")
    return secret


def is_loopback(host: str) -> bool:
    """Whether an address or a name means this machine, to itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


SystemUrl = Annotated[str, AfterValidator(_system_url)]
Secret = Annotated[SecretStr, AfterValidator(_header_safe)]


class SystemSettings(BaseModel):
    """What every system has: `PEOPLEGRAPH_<SYSTEM>_…`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SystemUrl = Field(default="", description="The system's base URL; without one the system is left out.")
    api_key: Secret | None = Field(default=None, description="The gateway's own key for the system.")
    credential: CredentialMode = Field(
        default=CredentialMode.GATEWAY,
        description="Whose credential is sent: `gateway`, `caller` (the vendor's header of the caller's "
        "request) or `caller-or-gateway`.",
    )
    concurrency: int = Field(default=100, ge=1, le=10_000, description="Calls under way at once, at most.")
    traceparent: bool = Field(
        default=False, description="Whether the system is sent `traceparent`, where there are traces."
    )
    cache_ttl_s: float = Field(
        default=2, ge=0, description="Seconds for which answers to reads are kept across requests; 0 is off."
    )
    calls_per_second: float = Field(
        default=0,
        ge=0,
        description="Calls that start in any second, at most; below 1, one in its time; 0 is no bound.",
    )

    @model_validator(mode="after")
    def _needs_a_key(self) -> "SystemSettings":
        if self.url and self.api_key is None and self.credential is not CredentialMode.CALLER:
            raise ValueError("api_key: is needed to reach the system with the gateway's own key")
        return self


class CollectionsSettings(SystemSettings):
    """Billtrust Collections."""


class DisputesSettings(SystemSettings):
    """Billtrust Disputes."""

    url: Annotated[SystemUrl, AfterValidator(_disputes_url)] = Field(
        default="", description="The base URL, up to but without `/tenants`; without one the system is left out."
    )
    tenant_id: str = Field(default="", description="The tenant, as in the vendor's paths.")

    @model_validator(mode="after")
    def _needs_a_tenant(self) -> "DisputesSettings":
        if self.url and not self.tenant_id:
            raise ValueError("tenant_id: is needed, every path has it")
        return self


class RpmSettings(SystemSettings):
    """RPM."""

    url: SystemUrl = Field(
        default="", description="The base URL, up to and with `Api2.svc`; without one the system is left out."
    )
    concurrency: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Calls under way at once, at most; 20 is what the vendor's client does.",
    )
    cache_ttl_s: float = Field(
        default=30,
        ge=0,
        description="Seconds for which answers to reads are kept across requests, since each is billed; 0 is off.",
    )
