"""Every setting, its default and its meaning; the only reader of the environment.

From `PEOPLEGRAPH_…` variables, then a `.env` file, then the TOML file that `PEOPLEGRAPH_CONFIG` names.
"""

import difflib
import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from peoplegraph.scopes import DATA
from peoplegraph.settings.blocks import (
    CollectionsSettings,
    CredentialMode,
    CurrentAssignee,
    DisputesSettings,
    RpmSettings,
    SystemSettings,
    UpstreamEngine,
    is_loopback,
)
from peoplegraph.settings.callers import ApiKey, ApiKeys, Hosts, JwtSettings, Origins, Paths, Scopes, TrustMode
from peoplegraph.settings.environment import (
    PREFIX,
    SettingsError,
    is_running,
    nowhere,
    pass_on,
    proxy_for,
    setting_files,
    share_metrics_in,
    shared_metrics,
)
from peoplegraph.settings.operating import CHANGEABLE, LogFormat, LogSettings, OperatingSettings
from peoplegraph.systems import System

__all__ = [
    "PREFIX",
    "ApiKey",
    "CredentialMode",
    "CurrentAssignee",
    "JwtSettings",
    "LogFormat",
    "LogSettings",
    "Settings",
    "SettingsError",
    "SystemSettings",
    "TrustMode",
    "UpstreamEngine",
    "is_loopback",
    "is_running",
    "nowhere",
    "pass_on",
    "proxy_for",
    "setting_files",
    "share_metrics_in",
    "shared_metrics",
    "unknown_variables",
    "variables",
]

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Settings(OperatingSettings):
    """The gateway's settings; `Settings.load()` reads them, and raises `SettingsError` in plain words."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
        nested_model_default_partial_update=True,
    )

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
        description="Whether equal queries under way at once are one execution; with several workers only "
        "where they share a store.",
    )
    share_calls: bool = Field(
        default=True,
        description="Whether equal reads under way at once are one upstream call; with several workers only "
        "where they share a store.",
    )
    open: bool | None = Field(
        default=None,
        description="Whether callers without a credential are let in: by default where the address is loopback and "
        "there are neither keys nor tokens. On any other address OPEN_TO_NETWORK must say so, too.",
    )
    open_to_network: bool = Field(
        default=False, description="Whether OPEN is meant for everybody who reaches the gateway over a network."
    )
    open_scopes: Scopes = Field(
        default=frozenset(DATA), description="What callers without a credential may do, where they are let in."
    )
    api_keys: ApiKeys = Field(
        default=(), description="Keys that callers may ask with, as JSON: `name`, `sha256` and `scopes` of each."
    )
    keys_file: Path | None = Field(
        default=None, description="A TOML file with more of them, as `[[api_keys]]`; read anew on change."
    )
    allowed_hosts: Hosts = Field(
        default=(),
        description="The names by which the gateway is reached, as the `Host` header has them; by default those of "
        "loopback. `*.example` is all below it, `*` everything.",
    )
    cors_origins: Origins = Field(default=(), description="The origins whose pages may ask from a browser.")
    introspection: bool | None = Field(
        default=None,
        description="Whether everybody may read the schema over GraphQL; by default on loopback only. Callers with "
        "the scope `introspection` always may.",
    )
    graphiql: bool | None = Field(
        default=None, description="Whether browsers get GraphiQL; by default on loopback only."
    )
    dashboard: bool | None = Field(
        default=None, description="Whether browsers get the dashboard; by default on loopback only."
    )
    trusted_documents: TrustMode = Field(
        default=TrustMode.OFF,
        description="What becomes of documents that are not in the manifest, from callers without the scope "
        "`adhoc`: with `off` nothing, with `log` a line in the log, with `enforce` a refusal.",
    )
    trusted_manifest: Paths = Field(
        default=(),
        description="Files with the trusted documents, as clients' tools write them; read anew if changed.",
    )
    persisted_queries: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="How many automatic persisted queries are kept, in Apollo's protocol; 0 is off.",
    )
    caller_requests_per_second: float = Field(
        default=0, ge=0, description="Requests a second that one caller may make, on average; 0 is no bound."
    )
    caller_calls_per_minute: float = Field(
        default=0, ge=0, description="Upstream calls a minute that one caller may cause, on average; 0 is no bound."
    )
    caller_operations: int = Field(
        default=1_000, ge=1, description="Requests of one caller that may be under way at once."
    )
    caller_sockets: int = Field(
        default=10, ge=0, description="WebSockets that one caller may have open; 0 takes none."
    )
    max_socket_operations: int = Field(
        default=50, ge=1, description="Operations that may be under way on one WebSocket."
    )
    socket_init_s: float = Field(
        default=3, gt=0, description="Seconds in which whoever opens a WebSocket must say who it is."
    )
    socket_idle_s: float = Field(
        default=300,
        gt=0,
        description="Seconds for which a WebSocket may be open without an operation or a message.",
    )
    collections: CollectionsSettings = CollectionsSettings()
    disputes: DisputesSettings = DisputesSettings()
    rpm: RpmSettings = RpmSettings()
    jwt: JwtSettings = JwtSettings()

    @model_validator(mode="after")
    def _is_guarded(self) -> "Settings":
        """Let nobody in over a network by mistake."""
        wrong = self.what_is_open()
        if wrong:
            raise ValueError(wrong)
        return self

    def what_is_open(self) -> str | None:
        """Say what would let somebody in by mistake, if anything does, the setting's name first."""
        if not self.is_loopback and self.is_open and not (self.open and self.open_to_network):
            return (
                f"host: {self.host} is not loopback, and everybody would be let in: set {PREFIX}KEYS_FILE, "
                f"{PREFIX}API_KEYS or {PREFIX}JWT_ISSUER; or, if that is meant, both {PREFIX}OPEN=true and "
                f"{PREFIX}OPEN_TO_NETWORK=true"
            )
        if not self.is_loopback and not self.allowed_hosts:
            return f"allowed_hosts: is needed where {self.host} is not loopback: the names by which it is reached"
        if self.trusted_documents is not TrustMode.OFF and not self.trusted_manifest:
            return "trusted_manifest: is needed to know which documents are trusted"
        return None

    @property
    def has_credentials(self) -> bool:
        """Whether there is a way to authenticate."""
        return bool(self.api_keys or self.keys_file or self.jwt.issuer)

    @property
    def is_open(self) -> bool:
        """Whether callers without a credential are let in."""
        return not self.has_credentials if self.open is None else self.open

    @property
    def introspects(self) -> bool:
        """Whether everybody may read the schema."""
        return self.is_loopback if self.introspection is None else self.introspection

    @property
    def has_graphiql(self) -> bool:
        """Whether browsers get GraphiQL."""
        return self.is_loopback if self.graphiql is None else self.graphiql

    @property
    def has_dashboard(self) -> bool:
        """Whether browsers get the dashboard."""
        return self.is_loopback if self.dashboard is None else self.dashboard

    @property
    def hosts(self) -> tuple[str, ...]:
        """What `Host` may be, without its port."""
        return self.allowed_hosts or LOOPBACK_NAMES

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
        """Read the settings, which have at least one system; `overrides` win over every source."""
        settings = cls.read(**overrides)
        if not settings.configured:
            urls = ", ".join(f"{PREFIX}{system.name}_URL" for system in System)
            raise SettingsError(f"no system is configured: set at least one of {urls}")
        return settings

    @classmethod
    def read(cls, **overrides: Any) -> "Settings":
        """Read the settings, whether or not there is a system to reach."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            raise SettingsError(_one_line(error)) from None
        except (OSError, ValueError) as error:
            raise SettingsError(f"{PREFIX}CONFIG or .env: {error}") from None
        except RecursionError:
            raise SettingsError(f"{PREFIX}CONFIG or .env: it is nested too deeply") from None

    def changed_to(self, new: "Settings") -> tuple["Settings", list[str]]:
        """Return these settings with what can change while the gateway runs, and what else would, by its variable.

        Raises `SettingsError` where the two do not go together.
        """
        differing = [name for name in type(self).model_fields if getattr(self, name) != getattr(new, name)]
        changeable = {name: getattr(new, name) for name in differing if name in CHANGEABLE}
        settings = self.model_copy(update=changeable)
        settings.__dict__.pop("configured", None)
        wrong = settings.what_is_open()
        if wrong:
            name, _, what = wrong.partition(": ")
            raise SettingsError(f"{PREFIX}{name.upper()}: {what}")
        return settings, [f"{PREFIX}{name}".upper() for name in differing if name not in CHANGEABLE]

    def cache_ttl_s(self, system: System) -> float:
        """Return for how many seconds answers of a system are kept: 0 with several workers that share nothing.

        One of them does not see what is written through another, and a read must not be older than a write.
        """
        return self.system(system).cache_ttl_s if self.sees_all_writes else 0.0

    @property
    def sees_all_writes(self) -> bool:
        """Whether what is written through the gateway, by whichever of its workers, is known to each."""
        return self.workers == 1 or self.shared.is_on

    def system(self, system: System) -> SystemSettings:
        """Return the block of one system."""
        block: SystemSettings = getattr(self, system.name.lower())
        return block

    @cached_property
    def configured(self) -> dict[System, SystemSettings]:
        """The systems that have a URL, in the order of `System`."""
        return {system: block for system in System if (block := self.system(system)).url}


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
        if isinstance(block, type) and issubclass(block, BaseModel):
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
    named = re.match(r"([a-z_]+): ", message)
    if first["type"] == "value_error" and named and len(location) <= 1:
        name, message = named[1], message[named.end() :]
        location.append(name)
    numbered = next((index for index, part in enumerate(first["loc"]) if isinstance(part, int)), None)
    if numbered is not None:  # of a list, which is one variable
        message = f"{' '.join(location[numbered:])}: {message}"
        location = location[:numbered]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{PREFIX}{'_'.join(location).upper()}: {message}{more}"
