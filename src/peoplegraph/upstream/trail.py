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

_FAILURES = frozenset(
    {
        *map(str, (401, 403, 429, *range(500, 600))),
        "UPSTREAM_BAD_RESPONSE",
        "UPSTREAM_RATE_LIMITED",
        "UPSTREAM_UNAUTHORIZED",
        "FORBIDDEN",
    }
)
"""What is worth a line in the log: what the operator can do something about, or should know."""

log = logging.getLogger(__name__)


class Source(StrEnum):
    """Where an answer came from."""

    UPSTREAM = "upstream"
    """The system, that was called for it; an attempt each."""
    CACHE = "cache"
    """What is kept, and fresh."""
    STALE = "stale"
    """What is kept for longer than it is fresh, since the system fails."""
    REFUSED = "refused"
    """Nowhere: the system has been failing, and is not called for a while."""
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
    code: str | None = None
    """The error that an answer means, whatever its status is."""
    bytes: int = 0
    attempt: int = 1
    span: CallSpan | None = None

    def __repr__(self) -> str:
        return f"<Step {self.source} {self.call} {self.outcome}>"


class Trail:
    """Takes note of what came of calls; `charge` is told the time of each one that is about to be made."""

    __slots__ = ("_begun", "_charge", "_made", "_request_id", "span", "steps")

    def __init__(self, charge: Callable[[float], None] | None = None, request_id: str = "") -> None:
        self._charge = charge
        self._request_id = request_id
        self._begun: dict[int, int] = {}
        """How often each call was made, by its identity: the steps keep it."""
        self._made = 0
        self.span: Span | None = None
        self.steps: list[Step] = []

    def __repr__(self) -> str:
        return f"<Trail {len(self.steps)} steps>"

    def clear(self) -> None:
        """Forget the calls, which know of this: only the garbage collector would find what they hold together."""
        self.steps.clear()
        self._begun.clear()
        self._made = 0

    def counts(self) -> tuple[int, int]:
        """Return how many calls were made, each attempt one, and how many answers were had without."""
        return self._made, len(self.steps) - self._made

    def begin(self, call: Call, now: float) -> Step:
        """Take note that a call is about to be made."""
        if self._charge is not None:
            self._charge(now)
        self._made += 1
        attempt = self._begun[id(call)] = self._begun.get(id(call), 0) + 1
        if attempt > 1:
            metrics.retries(call.system).inc()
        step = Step(call, Source.UPSTREAM, perf_counter(), attempt=attempt)
        if self.span is not None:
            step.span = self.span.begin_call(call)
        self.steps.append(step)
        return step

    def end(self, step: Step, outcome: Answer | BaseException) -> None:
        """Take note of what came of it."""
        _settle(step, outcome)
        call = step.call
        count, observe = metrics.call(call.system, call.method, call.path, step.code or step.outcome)
        count()
        observe(step.ended - step.began)
        if step.span is not None:
            step.span.end(step)
        is_failure = step.outcome in _FAILURES or step.code in _FAILURES
        if isinstance(outcome, UpstreamError) or (isinstance(outcome, Answer) and is_failure):
            _tell(step, outcome, self._request_id)

    def had(self, call: Call, source: Source, outcome: Answer | BaseException, began: float | None = None) -> None:
        """Take note of what was had without making a call; it was waited for if it `began` before."""
        step = Step(call, source, began or perf_counter())
        self.steps.append(step)
        _settle(step, outcome)
        if source is Source.REFUSED:
            metrics.not_made(call.system, call.method, call.path).inc()


def _settle(step: Step, outcome: Answer | BaseException) -> None:
    step.ended = perf_counter()
    if isinstance(outcome, Answer):
        step.outcome = str(outcome.status)
        step.code = step.call.meaning(outcome)
        step.bytes = len(outcome.body)
    elif isinstance(outcome, UpstreamError):
        step.outcome = outcome.code


def _tell(step: Step, outcome: Answer | UpstreamError, request_id: str) -> None:
    """Log a failure of a system, with what is known of its reason; neither keys nor bodies are in it."""
    call = step.call
    cause = outcome.__cause__ if isinstance(outcome, UpstreamError) else None
    title = call.system.title
    if isinstance(outcome, UpstreamError):
        said = str(outcome)
    else:
        said = f"{title} answers {step.outcome}" + (f", {step.code}" if step.code else "")
    log.warning(
        "%s%s",
        said,
        f" ({type(cause).__name__})" if cause else "",
        extra={
            "system": call.system.name,
            "endpoint": f"{call.method} {call.path}",
            "outcome": step.code or step.outcome,
            "request": request_id,
        },
    )
