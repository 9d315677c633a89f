"""What came of the calls of one request: those that were made, and those that it had without making them."""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from peoplegraph.errors import UpstreamError
from peoplegraph.upstream.call import Answer, Call


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


class Step(msgspec.Struct):
    """One attempt of a call, or one answer without any; times are on the running loop's clock, in seconds."""

    call: Call
    source: Source
    began: float
    ended: float = 0.0
    outcome: str = "CANCELLED"
    """A status, or the code of an error."""
    bytes: int = 0

    def __repr__(self) -> str:
        return f"<Step {self.source} {self.call} {self.outcome}>"


class Trail:
    """Takes note of what came of calls; `charge` is told the time of each one that is about to be made."""

    __slots__ = ("_charge", "steps")

    def __init__(self, charge: Callable[[float], None] | None = None) -> None:
        self._charge = charge
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
        step = Step(call, Source.UPSTREAM, now)
        self.steps.append(step)
        return step

    def end(self, step: Step, outcome: Answer | BaseException, now: float) -> None:
        """Take note of what came of it."""
        step.ended = now
        if isinstance(outcome, Answer):
            step.outcome = str(outcome.status)
            step.bytes = len(outcome.body)
        elif isinstance(outcome, UpstreamError):
            step.outcome = outcome.code

    def had(self, call: Call, source: Source, outcome: Answer | BaseException, began: float, now: float) -> None:
        """Take note of what was had without making a call."""
        step = Step(call, source, began)
        self.steps.append(step)
        self.end(step, outcome, now)
