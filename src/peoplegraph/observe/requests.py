"""Each request is one event, when it is over: what was asked, by whom, and what came of it."""

import logging
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import msgspec
import structlog

from peoplegraph.observe import metrics
from peoplegraph.observe.names import MAX_NAME
from peoplegraph.upstream.trail import Trail


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
            self.operation, self.type, self.digest = name and name[:MAX_NAME], kind, digest

    def refused(self, code: str, limit: str | None) -> None:
        """Take note that it is not answered, for a limit that it passes or for something else."""
        self.failed({code: 1})
        if limit is not None:
            metrics.limits(limit).inc()

    def failed(self, codes: Mapping[str, int], name: str | None = None) -> None:
        """Take note of errors, of an operation by its name in the metrics."""
        for code, count in codes.items():
            self.codes = {**self.codes, code: self.codes.get(code, 0) + count}
            metrics.errors(name or "none", code).inc(count)

    def joined(self, other: "Seen") -> None:
        """Take note that the answer is that of another request, which asked for the same."""
        self.shared = True
        if other.type is None or other.digest is None:
            return
        self.ran(other.operation, other.type, other.digest)
        name = metrics.NAMES.told(other.operation)
        count, observe = metrics.operation(name, other.type, "errors" if other.codes else "ok")
        count()
        observe(perf_counter() - self.began)
        self.failed(other.codes, name)

    def called(self, trail: Trail) -> None:
        """Take note of the calls."""
        if not trail.steps:
            return
        self.calls, self.saved = trail.counts()  # a batch has one trail

    def over(self, status: int, events: Any) -> None:
        """Tell of the request, which was answered with a status; `events` is structlog's logger, bound."""
        metrics.requests(self.transport, status).inc()
        if not structlog.is_configured() or not events.is_enabled_for(logging.INFO):
            return
        event: dict[str, Any] = {"request": self.request_id, "status": status}
        if self.caller is None:
            event["address"] = self.address
        else:
            event["caller"] = self.caller
        if self.digest is not None:
            if self.operation is not None:
                event["operation"] = self.operation
            event["type"] = self.type
            event["hash"] = self.digest
        if self.calls:
            event["calls"] = self.calls
        if self.saved:
            event["saved"] = self.saved
        if self.shared:
            event["shared"] = True
        if self.codes:
            event["codes"] = self.codes
        event["ms"] = round((perf_counter() - self.began) * 1000, 3)
        event["transport"] = self.transport
        try:  # noqa: SIM105  # it costs nothing
            events.info("request", **event)
        except (OSError, ValueError):  # nobody reads the log any more
            pass
