"""What came of the calls of one request: those that were made, and those that it had without making them."""

import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from time import perf_counter
from typing import Protocol

import msgspec

from peoplegraph.errors import UpstreamError
from peoplegraph.observe import metrics
from peoplegraph.upstream.call import Answer, Call

_FAILURES = frozenset({401, 403, 429, *range(500, 600)})
"""The statuses that are worth a line in the log: what the operator can do something about, or should know."""

log = logging.getLogger(__name__)


class Source(StrEnum):
    """Where an answer came from."""

    UPSTREAM = "upstream"
    """The system, that was called for it; an attempt each."""
    CACHE = "cache"
    """What is kept, and fresh."""
    STALE = "stale"
    """What is kept for longer than it is fresh, since the system fails."""
    SHARED = "shared"
    """An equal call of another request, or of this one, that was under way."""


class CallSpan(Protocol):
    """What is told to those who trace, of one attempt of a call."""

    headers: Mapping[str, str]
    """What goes with the call."""

    def end(self, step: "Step") -> None:
        """End it, with what came of the call."""


class Span(Protocol):
    """What is told to those who trace, of one operation."""

    def begin_call(self, call: Call) -> CallSpan:
        """Begin an attempt of a call."""


class Step(msgspec.Struct):
    """One attempt of a call, or one answer without any; times are those of `perf_counter`, in seconds.

    The clock of uvloop knows no fractions of a millisecond.
    """

    call: Call
    source: Source
    began: float
    ended: float = 0.0
    outcome: str = "CANCELLED"
    """A status, or the code of an error."""
    bytes: int = 0
    span: CallSpan | None = None

    def __repr__(self) -> str:
        return f"<Step {self.source} {self.call} {self.outcome}>"


class Trail:
    """Takes note of what came of calls; `charge` is told the time of each one that is about to be made."""

    __slots__ = ("_charge", "_request_id", "span", "steps")

    def __init__(self, charge: Callable[[float], None] | None = None, request_id: str = "") -> None:
        self._charge = charge
        self._request_id = request_id
        self.span: Span | None = None
        self.steps: list[Step] = []

    def __repr__(self) -> str:
        return f"<Trail {len(self.steps)} steps>"

    @property
    def made(self) -> list[Step]:
        """The calls that were made, each attempt one."""
        return [step for step in self.steps if step.source is Source.UPSTREAM]

    def begin(self, call: Call, now: float) -> Step:
        """Take note that a call is about to be made."""
        if self._charge is not None:
            self._charge(now)
        step = Step(call, Source.UPSTREAM, perf_counter())
        if self.span is not None:
            step.span = self.span.begin_call(call)
        self.steps.append(step)
        return step

    def end(self, step: Step, outcome: Answer | BaseException) -> None:
        """Take note of what came of it."""
        _settle(step, outcome)
        call = step.call
        metrics.calls(call.system, call.method, call.path, step.outcome).inc()
        metrics.call_seconds(call.system, call.method, call.path).observe(step.ended - step.began)
        if step.span is not None:
            step.span.end(step)
        if isinstance(outcome, UpstreamError) or (isinstance(outcome, Answer) and outcome.status in _FAILURES):
            _tell(step, outcome, self._request_id)

    def had(self, call: Call, source: Source, outcome: Answer | BaseException, began: float | None = None) -> None:
        """Take note of what was had without making a call; it was waited for if it `began` before."""
        step = Step(call, source, began or perf_counter())
        self.steps.append(step)
        _settle(step, outcome)


def _settle(step: Step, outcome: Answer | BaseException) -> None:
    step.ended = perf_counter()
    if isinstance(outcome, Answer):
        step.outcome = str(outcome.status)
        step.bytes = len(outcome.body)
    elif isinstance(outcome, UpstreamError):
        step.outcome = outcome.code


def _tell(step: Step, outcome: Answer | UpstreamError, request_id: str) -> None:
    """Log a failure of a system, with what is known of its reason; neither keys nor bodies are in it."""
    call = step.call
    cause = outcome.__cause__ if isinstance(outcome, UpstreamError) else None
    reason = str(outcome) if isinstance(outcome, UpstreamError) else f"status {outcome.status}"
    log.warning(
        "%s: %s%s",
        call.system.title,
        reason,
        f" ({type(cause).__name__})" if cause else "",
        extra={
            "system": call.system.name,
            "endpoint": f"{call.method} {call.path}",
            "outcome": step.outcome,
            "request": request_id,
        },
    )
