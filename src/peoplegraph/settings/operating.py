"""The parts of the settings that say how the gateway is run, and what is to be seen of it."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings

from peoplegraph.settings.blocks import is_loopback
from peoplegraph.settings.shared import SharedSettings

CHANGEABLE = frozenset(
    """
    api_keys keys_file jwt open open_to_network open_scopes allowed_hosts cors_origins introspection graphiql
    dashboard explain trusted_documents trusted_manifest persisted_queries max_body_bytes max_batch
    max_document_tokens max_document_characters max_depth max_aliases max_root_fields max_directives
    max_upstream_calls caller_requests_per_second caller_calls_per_minute caller_operations caller_sockets
    max_socket_operations socket_init_s socket_idle_s
    """.split()
)
"""The settings that can change while the gateway runs: who may ask, and for how much."""


class LogFormat(StrEnum):
    """What the log looks like."""

    AUTO = "auto"
    JSON = "json"
    PRETTY = "pretty"


class LogSettings(BaseModel):
    """`PEOPLEGRAPH_LOG_…`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: LogFormat = Field(
        default=LogFormat.AUTO,
        description="`json`, an object a line; `pretty`, for people; `auto`, pretty on a terminal.",
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged; each request is an event at `info`."
    )


class MetricsSettings(BaseModel):
    """`PEOPLEGRAPH_METRICS_…`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open: bool | None = Field(
        default=None,
        description="Whether everybody may read `/metrics`; by default on loopback only. Callers with the scope "
        "`metrics` always may.",
    )
    port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="A port of their own, where anybody who reaches it may read them; 0 is none.",
    )
    host: str = Field(default="127.0.0.1", description="The address of that port.")


class OperatingSettings(BaseSettings):
    """How the gateway is run."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    workers: int = Field(default=1, ge=1, le=256, description="Processes that `serve` starts.")
    drain_s: float = Field(
        default=0,
        ge=0,
        le=600,
        description="Seconds for which a gateway that was told to end says that it is not ready, and still "
        "answers: the time that what sends it requests takes to notice.",
    )
    grace_s: float = Field(
        default=15,
        ge=0,
        le=600,
        description="Seconds that requests under way have then to come to their end; the rest gets 503.",
    )
    ready_needs_upstreams: bool = Field(
        default=False, description="Whether the gateway is not ready while a system's circuit breaker is open."
    )
    federation: bool = Field(
        default=False, description="Whether the gateway is a subgraph, in Apollo Federation 2, for routers to ask."
    )
    explain: bool | None = Field(
        default=None,
        description="Whether everybody may be told which upstream calls an operation makes; by default on loopback "
        "only. Callers with the scope `explain` always may.",
    )
    traces: bool = Field(
        default=False,
        description="Whether spans go to an OpenTelemetry collector, as the `OTEL_…` variables say; needs the "
        "extra `otel`.",
    )
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    shared: SharedSettings = SharedSettings()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the gateway."""
        return is_loopback(self.host)

    @property
    def explains(self) -> bool:
        """Whether everybody may be told of an operation's upstream calls."""
        return self.is_loopback if self.explain is None else self.explain

    @property
    def shows_metrics(self) -> bool:
        """Whether everybody may read the metrics."""
        return self.is_loopback if self.metrics.open is None else self.metrics.open
