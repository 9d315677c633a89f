"""The metrics, as Prometheus has them; one set for a process, as is usual there.

With several workers each writes to files that `PROMETHEUS_MULTIPROC_DIR` names, and any of them tells of all.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import current_process

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from peoplegraph.observe.names import Names
from peoplegraph.observe.workers import Workers
from peoplegraph.settings import shared_metrics
from peoplegraph.systems import System

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_REQUESTS = Counter("peoplegraph_requests", "Requests by transport and HTTP status.", ["transport", "status"])
_OPERATIONS = Counter(
    "peoplegraph_operations",
    "Operations by name, type and outcome: ok, errors, refused, cancelled.",
    ["operation", "type", "outcome"],
)
_ERRORS = Counter("peoplegraph_errors", "GraphQL errors by operation and code.", ["operation", "code"])
_OPERATION_SECONDS = Histogram(
    "peoplegraph_operation_duration_seconds", "Time that operations took.", ["operation"], buckets=SECONDS
)
_CALLS = Counter(
    "peoplegraph_upstream_calls",
    "Calls to a system, each attempt one, by endpoint and outcome: an HTTP status, or an error's code.",
    ["system", "endpoint", "outcome"],
)
_CALL_SECONDS = Histogram(
    "peoplegraph_upstream_call_duration_seconds",
    "Time from a call to its answer, the wait for a slot included.",
    ["system", "endpoint"],
    buckets=SECONDS,
)
_RETRIES = Counter("peoplegraph_upstream_retries", "Calls that were made again.", ["system"])
_SHARED_CALLS = Counter("peoplegraph_shared_calls", "Reads that joined an equal one under way.", ["system"])
_CACHE_READS = Counter(
    "peoplegraph_cache_reads",
    "Reads where answers are kept: hit, miss, revalidated (asked whether it still holds, and it does), stale.",
    ["system", "result"],
)
_GROUP_READS = Counter(
    "peoplegraph_group_reads",
    "Reads that were looked for in the shared store: hit, miss, down.",
    ["system", "result"],
)
_LIMITS = Counter("peoplegraph_limits", "Requests and operations that were refused, by the limit.", ["limit"])
_DECLINED = Counter("peoplegraph_declined_operations", "Operations left to graphql-core, by reason.", ["reason"])

SHARED_OPERATIONS = Counter("peoplegraph_shared_operations", "Queries that joined an equal one under way.")
DOCUMENTS = Counter(
    "peoplegraph_documents", "Documents that were asked for: known (hit) or parsed (miss).", ["result"]
)
PLANS = Counter("peoplegraph_plans", "Plans that were asked for: known (hit) or compiled (miss).", ["result"])
BREAKER_STATE = Gauge(
    "peoplegraph_breaker_state",
    "A system's circuit breaker: 0 closed, 1 probing, 2 open.",
    ["system"],
    multiprocess_mode="livemax",
)
SLOTS = Gauge(
    "peoplegraph_upstream_slots", "Calls that may be under way at once.", ["system"], multiprocess_mode="livesum"
)
SLOTS_IN_USE = Gauge(
    "peoplegraph_upstream_slots_in_use", "Calls under way.", ["system"], multiprocess_mode="livesum"
)
CALLS_WAITING = Gauge(
    "peoplegraph_upstream_calls_waiting", "Calls that wait for a slot.", ["system"], multiprocess_mode="livesum"
)
CACHE_BYTES = Gauge("peoplegraph_cache_bytes", "Memory of kept answers, roughly.", multiprocess_mode="livesum")
CACHE_ENTRIES = Gauge("peoplegraph_cache_entries", "Kept answers.", multiprocess_mode="livesum")
GROUP_UP = Gauge(
    "peoplegraph_group_up",
    "Processes that share a store with others, and have it; 0 where none is set.",
    multiprocess_mode="livesum",
)
GROUP_DOWN = Gauge(
    "peoplegraph_group_down",
    "Processes that are to share a store with others, and do not have it; 0 where none is set.",
    multiprocess_mode="livesum",
)
GROUP_MEMBERS = Gauge(
    "peoplegraph_group_members", "Processes that share the store, of all gateways.", multiprocess_mode="livemax"
)
GROUP_LOSSES = Counter("peoplegraph_group_losses", "How often the shared store was lost.")
GROUP_WRITE_SECONDS = Histogram(
    "peoplegraph_group_write_duration_seconds",
    "Time that a write took until no gateway gave out what was there before.",
    buckets=SECONDS,
)
GROUP_UNHEARD = Counter(
    "peoplegraph_group_unheard_writes",
    "Writes that waited for a gateway's lease to run out, since it did not answer.",
)
LOOP_LAG = Gauge(
    "peoplegraph_event_loop_lag_seconds",
    "How late the event loop woke who slept, the worst of the last two seconds.",
    multiprocess_mode="livemax",
)
READY = Gauge("peoplegraph_ready", "Processes that are ready.", multiprocess_mode="livesum")

document_hit = DOCUMENTS.labels("hit").inc
document_miss = DOCUMENTS.labels("miss").inc
plan_hit = PLANS.labels("hit").inc
plan_miss = PLANS.labels("miss").inc

NAMES = Names()
"""The operations that are told apart."""


@cache
def requests(transport: str, status: int) -> Counter:
    """Return the counter of requests."""
    return _REQUESTS.labels(transport, str(status))


@cache
def operation(name: str, kind: str, outcome: str) -> tuple[Callable[[], None], Callable[[float], None]]:
    """Return what counts an operation, and what takes its time."""
    return _OPERATIONS.labels(name, kind, outcome).inc, _OPERATION_SECONDS.labels(name).observe


@cache
def errors(operation: str, code: str) -> Counter:
    """Return the counter of errors."""
    return _ERRORS.labels(operation, code)


@cache
def call(
    system: System, method: str, path: str, outcome: str
) -> tuple[Callable[[], None], Callable[[float], None]]:
    """Return what counts an upstream call, and what takes its time."""
    endpoint = f"{method} {path}"
    return _CALLS.labels(system.name, endpoint, outcome).inc, _CALL_SECONDS.labels(system.name, endpoint).observe


@cache
def not_made(system: System, method: str, path: str) -> Counter:
    """Return the counter of upstream calls that were not made, since the system has been failing."""
    return _CALLS.labels(system.name, f"{method} {path}", "CIRCUIT_OPEN")


@cache
def retries(system: System) -> Counter:
    """Return the counter of retries."""
    return _RETRIES.labels(system.name)


@cache
def shared_calls(system: System) -> Counter:
    """Return the counter of reads that joined another."""
    return _SHARED_CALLS.labels(system.name)


@cache
def cache_reads(system: System, result: str) -> Counter:
    """Return the counter of reads where answers are kept."""
    return _CACHE_READS.labels(system.name, result)


@cache
def group_reads(system: System, result: str) -> Counter:
    """Return the counter of reads in the store that gateways share."""
    return _GROUP_READS.labels(system.name, result)


@cache
def limits(limit: str) -> Counter:
    """Return the counter of what a limit refused."""
    return _LIMITS.labels(limit)


@cache
def declined(reason: str) -> Counter:
    """Return the counter of operations that graphql-core ran."""
    return _DECLINED.labels(reason)


@contextmanager
def served(host: str, port: int) -> Iterator[None]:
    """Let anybody who reaches a port of their own read the metrics, until the block ends. Raises `OSError`."""
    try:
        server, thread = start_http_server(port, host, _everything())
    except OSError as error:
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def exposition(accept: str) -> tuple[bytes, str]:
    """Return the metrics in the form that a scraper accepts, and its content type."""
    encode, content_type = choose_encoder(accept)
    return encode(_registry()), content_type


def ended() -> None:
    """Take the gauges of this process from those of all, where they are shared: it is about to end."""
    folder = shared_metrics()
    if folder is not None:
        Workers(folder).ended(current_process().pid)


def _registry() -> CollectorRegistry:
    folder = shared_metrics()
    if folder is None:
        return REGISTRY
    registry = CollectorRegistry()
    registry.register(Workers(folder))
    return registry


def _everything() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Everything())
    return registry


class _Everything(Collector):
    """What is there at the time of asking."""

    def collect(self) -> Iterable[Metric]:
        """Collect from the process, or from all."""
        return _registry().collect()
