"""Each request is one event, when it is over: what was asked, by whom, and what came of it."""

from collections import Counter
from time import perf_counter
from typing import Any

import msgspec
import structlog

from peoplegraph.observe import metrics
from peoplegraph.upstream.trail import Source, Trail

log: Any = structlog.get_logger()


class Seen(msgspec.Struct):
    """What is known of a request until it is over."""

    request_id: str
    address: str
    transport: str
    began: float = msgspec.field(default_factory=perf_counter)
    """On the clock of `perf_counter`."""
    caller: str | None = None
    operation: str | None = None
    digest: str | None = None
    type: str | None = None
    calls: int = 0
    saved: int = 0
    """Answers that were had without a call."""
    shared: bool = False
    """Whether the answer is another request's, who asked for the same."""
    codes: dict[str, int] = {}

    def ran(self, name: str | None, kind: str, digest: str) -> None:
        """Take note of an operation; of a batch the first is told."""
        if self.digest is None:
            self.operation, self.type, self.digest = name, kind, digest

    def failed(self, codes: Counter[str]) -> None:
        """Take note of errors."""
        name = metrics.operation_name(self.operation) if self.digest else "none"
        for code, count in codes.items():
            self.codes = {**self.codes, code: self.codes.get(code, 0) + count}
            metrics.errors(name, code).inc(count)

    def called(self, trail: Trail) -> None:
        """Take note of the calls."""
        if not trail.steps:
            return
        made = sum(step.source is Source.UPSTREAM for step in trail.steps)
        self.calls += made
        self.saved += len(trail.steps) - made

    def over(self, status: int) -> None:
        """Tell of the request, which was answered with a status."""
        metrics.requests(self.transport, status).inc()
        if not structlog.is_configured():
            return
        event: dict[str, Any] = {"request": self.request_id, "status": status}
        for name in ("caller", "operation", "type", "calls", "saved", "shared", "codes"):
            value = getattr(self, name)
            if value:
                event[name] = value
        if self.digest:
            event["hash"] = self.digest
        if self.caller is None:
            event["address"] = self.address
        event["ms"] = round((perf_counter() - self.began) * 1000, 3)
        event["transport"] = self.transport
        log.info("request", **event)
