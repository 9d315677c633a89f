"""What a call without an answer means, for every engine: of a write that was sent, its outcome is unknown."""

import logging

from peoplegraph.errors import BadResponse, OutcomeUnknown, TimedOut, Unavailable, UpstreamError
from peoplegraph.upstream.call import Answer, Call

log = logging.getLogger(__name__)


def lost(call: Call) -> UpstreamError:
    """Return the error of a call whose connection ended before its answer did."""
    return _error(Unavailable, call, "broke the connection off")


def broken(call: Call, what: object) -> UpstreamError:
    """Return the error of a call whose answer cannot be taken; `what` says what the system did."""
    return _error(BadResponse, call, str(what))


def late(call: Call) -> UpstreamError:
    """Return the error of a call that was sent, and not answered in time."""
    return _error(TimedOut, call, "did not answer in time")


def unknown(call: Call) -> OutcomeUnknown:
    """Return the error of a write of which some attempt may have had an effect."""
    return OutcomeUnknown(call.system, f"{call.system.title} does not say whether the write took effect")


def _error(of_a_read: type[UpstreamError], call: Call, what: str) -> UpstreamError:
    return (of_a_read if call.reads else OutcomeUnknown)(call.system, f"{call.system.title} {what}")


def not_called(call: Call, *, tried: bool = False) -> TimedOut:
    """Return the error of a call that was not sent in time; `tried` if that is for the system's sake."""
    return TimedOut(call.system, f"{call.system.title} was not called in time", tried=tried)


def unreachable(call: Call, error: Exception) -> Unavailable:
    """Return the error of a call that found no connection, which tells what kind of failure that was."""
    unavailable = Unavailable(call.system, f"{call.system.title} cannot be reached")
    unavailable.__cause__ = error
    return unavailable


def log_late_write(title: str, outcome: Answer | BaseException) -> None:
    """Log what became of a write whose caller was told that it is not known."""
    what = f"answered {outcome.status}" if isinstance(outcome, Answer) else f"{type(outcome).__name__}, no answer"
    log.warning("%s: a write that nobody waits for any more: %s", title, what)
