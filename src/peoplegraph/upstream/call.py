"""The seam to the upstreams: a `Call` goes in, an `Answer` comes out, and `Send` is the coroutine between."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from peoplegraph.systems import System

CLOSE_GRACE_S = 0.5
"""How long calls under way may take once an engine is closing."""

LATE_WRITE_S = 60.0
"""How long an engine awaits the answer to a write that its caller waits for no more."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A vendor's header and the secret in it; the secret stays out of every repr."""

    header: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One call to one system.

    `target` is percent-encoded and begins below the system's base URL, `/` first. `deadline` is on the clock
    of the running loop (`loop.time()`), in seconds. `reads` says that the call changes nothing, whatever its
    method; `safe_to_retry` that sending it twice does no more than sending it once.

    `tags` name what a read tells of, and what a write touches: the write drops what is kept of the read.
    `past_caches` wants the read made, whatever is kept or under way. `is_success` tells an answer that may be kept
    from an error that comes with the same status.
    """

    system: System
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    target: str
    credential: Credential
    deadline: float
    reads: bool
    safe_to_retry: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    tags: frozenset[str] = frozenset()
    past_caches: bool = False
    is_success: "Callable[[Answer], bool]" = field(default=lambda _: True, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are lower case; `body` is decoded from any content coding.

    `stale` marks one that was kept for longer than it is fresh, and given out because the upstream fails.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    stale: bool = False


Send = Callable[[Call], Awaitable[Answer]]
"""Carries a call to its system: every part of the upstream path has this shape.

Raises `TimedOut`, `Unavailable`, `OutcomeUnknown` or `BadResponse`; whatever status came back is an answer.
"""
