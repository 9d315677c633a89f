"""What a call without an answer means, for every engine: of a write that was sent, its outcome is unknown."""

import logging

from peoplegraph.errors import BadResponse, OutcomeUnknown, TimedOut, Unavailable, UpstreamError
from peoplegraph.upstream.call import Call

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


def _error(of_a_read: type[UpstreamError], call: Call, what: str) -> UpstreamError:
    return (of_a_read if call.reads else OutcomeUnknown)(call.system, f"{call.system.title} {what}")


def log_late_write(title: str, outcome: str) -> None:
    """Log what became of a write whose caller was told that it is not known."""
    log.warning("%s answered a write that nobody waits for any more: %s", title, outcome)
