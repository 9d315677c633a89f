"""Every setting, its default and its meaning; the only reader of the environment.

From `PEOPLEGRAPH_…` variables, then a `.env` file, then the TOML file that `PEOPLEGRAPH_CONFIG` names.
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from peoplegraph.systems import System

PREFIX = "PEOPLEGRAPH_"

_HOST = re.compile(r"[0-9a-z_-]{1,63}(\.[0-9a-z_-]{1,63})*\.?|[0-9a-f:.]+(%[0-9a-z]+)?")
"""A name as DNS has it, or an address, in the small letters that `urlsplit` gives."""

_ENCODED = re.compile(r"(?:[!$&-;=@A-Z_a-z~\[\]]|%[0-9A-Fa-f]{2})*")
"""A path whose every character stands for itself, or is percent-encoded."""


class SettingsError(Exception):
    """A setting is missing or malformed; the message is one line that names the variable."""


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
    """Check a system's base URL and drop its trailing slash; an empty one is as good as none.

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
    if "@" in url.netloc or "?" in text or "#" in text:
        raise ValueError("must have no query, fragment or user")
    if not _ENCODED.fullmatch(url.path):
        raise ValueError("must be percent-encoded")
    if {".", ".."} & set(map(unquote, url.path.split("/"))):
        raise ValueError("must have no . or .. in its path")
    if url.scheme == "http" and not _is_loopback(host):
        raise ValueError("plain http is for loopback addresses only; use https")
    return url._replace(path=url.path.rstrip("/")).geturl()


def _disputes_url(text: str) -> str:
    if "/tenants" in text:
        raise ValueError("must end before /tenants")
    return text


def _header_safe(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError("must be printable ASCII without spaces around it")
    return secret


def _is_loopback(host: str) -> bool:
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


class Settings(BaseSettings):
    """The gateway's settings; `Settings.load()` reads them, and raises `SettingsError` in plain words."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    workers: int = Field(default=1, ge=1, le=256, description="Processes that `serve` starts.")
    deadline_s: float = Field(default=10, gt=0, le=3600, description="Seconds that one GraphQL request may take.")
    upstream_engine: UpstreamEngine = Field(
        default=UpstreamEngine.HTTP1,
        description="What carries calls to the systems: `http1`, or `httpx`, which is also used where the "
        "environment names a proxy for one of them.",
    )
    current_assignee: CurrentAssignee = Field(
        default=CurrentAssignee.CALLER,
        description="Whom `currentAssignee` answers for where the caller sends no Disputes credential: "
        "`caller`, nobody (an error); `key-owner`, the owner of the gateway's key.",
    )
    stale_if_error_s: float = Field(
        default=0,
        ge=0,
        description="Seconds beyond their time for which kept answers may do where a system fails; 0 is off.",
    )
    compile: bool = Field(
        default=True, description="Whether operations are compiled; off, graphql-core runs them all."
    )
    max_body_bytes: int = Field(
        default=1_000_000, ge=1000, description="The largest body of a request that is read."
    )
    max_batch: int = Field(
        default=0, ge=0, le=100, description="The operations that a request may have, as a JSON array; 0 is off."
    )
    max_document_tokens: int = Field(
        default=3_000, ge=10, description="The lexical tokens that a GraphQL document may have."
    )
    max_document_characters: int = Field(
        default=100_000, ge=100, description="The characters that a GraphQL document may have."
    )
    max_depth: int = Field(
        default=25, ge=1, description="How deep the fields of an operation may be in one another."
    )
    max_aliases: int = Field(default=200, ge=0, description="The aliases that an operation may have.")
    max_root_fields: int = Field(default=50, ge=1, description="The root fields that an operation may have.")
    max_directives: int = Field(default=200, ge=0, description="The directives that an operation may have.")
    max_upstream_calls: int = Field(
        default=1_000, ge=1, description="The upstream calls that an operation may make, at worst."
    )
    share_operations: bool = Field(
        default=True,
        description="Whether equal queries under way at once are one execution; with several workers never.",
    )
    share_calls: bool = Field(
        default=True,
        description="Whether equal reads under way at once are one upstream call; with several workers never.",
    )
    collections: CollectionsSettings = CollectionsSettings()
    disputes: DisputesSettings = DisputesSettings()
    rpm: RpmSettings = RpmSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the TOML file last, and leave secret directories out."""
        toml = os.environ.get(f"{PREFIX}CONFIG") or dotenv_values(".env").get(f"{PREFIX}CONFIG")
        if toml and not Path(toml).is_file():
            raise SettingsError(f"{PREFIX}CONFIG: there is no file {toml}")
        file = TomlConfigSettingsSource(settings_cls, toml)
        for name in file.toml_data.keys() - settings_cls.model_fields.keys():
            raise SettingsError(f"{PREFIX}CONFIG: {toml} has {name}, and there is no such setting")
        return (init_settings, env_settings, dotenv_settings, file)

    @classmethod
    def load(cls, **overrides: Any) -> "Settings":
        """Read the settings; `overrides` win over every source."""
        try:
            settings = cls(**overrides)
        except ValidationError as error:
            raise SettingsError(_one_line(error)) from None
        except (OSError, ValueError) as error:
            raise SettingsError(f"{PREFIX}CONFIG or .env: {error}") from None
        if not settings.configured:
            urls = ", ".join(f"{PREFIX}{system.name}_URL" for system in System)
            raise SettingsError(f"no system is configured: set at least one of {urls}")
        return settings

    def cache_ttl_s(self, system: System) -> float:
        """Return for how many seconds answers of a system are kept: 0 with several workers.

        One of them does not see what is written through another, and a read must not be older than a write.
        """
        return self.system(system).cache_ttl_s if self.workers == 1 else 0.0

    def system(self, system: System) -> SystemSettings:
        """Return the block of one system."""
        block: SystemSettings = getattr(self, system.name.lower())
        return block

    @cached_property
    def configured(self) -> dict[System, SystemSettings]:
        """The systems that have a URL, in the order of `System`."""
        return {system: block for system in System if (block := self.system(system)).url}


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL (`HTTPS_PROXY` and so on, less `NO_PROXY`), if any.

    Raises `SettingsError` for one that is not spoken to over http.
    """
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc) or _is_loopback(parts.hostname or ""):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    scheme, separator, _ = proxy.partition("://")
    if not separator:
        return f"http://{proxy}"
    if scheme not in {"http", "https"}:
        raise SettingsError(f"{parts.scheme.upper()}_PROXY or ALL_PROXY: a proxy must be an http(s) URL")
    return proxy


def unknown_variables() -> Iterator[tuple[str, str | None]]:
    """Yield each `PEOPLEGRAPH_…` variable, also of `.env`, that is no setting, and the setting meant."""
    known = [name.removeprefix(PREFIX) for name, _ in variables()] + ["CONFIG"]
    for name in sorted({*os.environ, *dotenv_values(".env")}):
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known:
            close = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1)
            yield name, PREFIX + close[0] if close else None


def variables() -> Iterator[tuple[str, Any]]:
    """Yield each setting's variable and its pydantic field, in order of declaration."""
    for name, field in Settings.model_fields.items():
        block = field.annotation
        if isinstance(block, type) and issubclass(block, SystemSettings):
            for inner, inner_field in block.model_fields.items():
                yield f"{PREFIX}{name}_{inner}".upper(), inner_field
        else:
            yield f"{PREFIX}{name}".upper(), field


def _one_line(error: ValidationError) -> str:
    """Say the first thing that is wrong, by the variable's name; never the value, which may be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    location = [str(part) for part in first["loc"]]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such setting"
    if first["type"] == "value_error" and ": " in message and len(location) == 1:
        name, message = message.split(": ", 1)
        location.append(name)
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{PREFIX}{'_'.join(location).upper()}: {message}{more}"
