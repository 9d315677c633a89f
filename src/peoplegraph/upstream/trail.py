"""The calls that were made for one request: each attempt, and what came of it."""

from collections.abc import Callable

from peoplegraph.errors import UpstreamError
from peoplegraph.upstream.call import Answer, Call


class Trail:
    """What was called; a read that was answered from what is kept, or joined another's, was not.

    `charge` is told the time of each call that is about to be made.
    """

    __slots__ = ("_charge", "made")

    def __init__(self, charge: Callable[[float], None] | None = None) -> None:
        self._charge = charge
        self.made: list[tuple[Call, str]] = []
        """Each call, with a status or the code of an error."""

    def __repr__(self) -> str:
        return f"<Trail {len(self.made)} calls>"

    def begin(self, now: float) -> None:
        """Take note that a call is about to be made."""
        if self._charge is not None:
            self._charge(now)

    def end(self, call: Call, outcome: Answer | BaseException) -> None:
        """Take note of what came of it."""
        if isinstance(outcome, Answer):
            self.made.append((call, str(outcome.status)))
        else:
            self.made.append((call, outcome.code if isinstance(outcome, UpstreamError) else "CANCELLED"))
