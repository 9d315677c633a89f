"""The seam to the upstreams: a `Call` goes in, an `Answer` comes out, and `Send` is the coroutine between."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from peoplegraph.systems import System

if TYPE_CHECKING:
    from peoplegraph.upstream.trail import Trail

CONNECT_TIMEOUT_S = 5.0
"""How long an engine tries to open a connection."""

CLOSE_GRACE_S = 0.5
"""How long calls under way may take once an engine is closing."""

LATE_WRITE_S = 60.0
"""How long an engine awaits the answer to a write that its caller waits for no more."""


class Credential(msgspec.Struct, frozen=True):
    """A vendor's header and the secret in it; the secret stays out of every repr."""

    header: str
    secret: str

    def __repr__(self) -> str:
        return f"<Credential in {self.header}>"


Key = tuple[System, str, str, bytes | None, Credential]

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class Endpoint(msgspec.Struct, frozen=True):
    """One of a vendor's endpoints: `path` is as its page has it, with names in braces, below the base URL.

    `is_query` says of one that is no GET that it changes nothing all the same.
    """

    system: System
    method: Method
    path: str
    is_query: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET" or self.is_query


def _any(_: "Answer") -> bool:
    return True


def no_error(_: "Answer") -> str | None:
    """Say of an answer that its status has said it all."""
    return None


TRANSIENT_STATUSES = frozenset({429, 502, 503, 504})
"""What may pass by itself; the other 5xx are failures as well, but more likely of the request."""

READ_HEADERS = ("cache-control", "etag", "last-modified", "retry-after")
"""The headers of an answer that somebody reads; an engine drops the others."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Call(msgspec.Struct, frozen=True):
    """One call to one system.

    `target` is percent-encoded and begins below the system's base URL, `/` first. `deadline` is on the clock
    of the running loop (`loop.time()`), in seconds. `reads` says that the call changes nothing, whatever its
    method; `safe_to_retry` that sending it twice does no more than sending it once.

    `tags` name what a read tells of, and what a write touches: the write drops what is kept of the read.
    `since` is when the request began that the call belongs to: of calls that wait, the oldest request's goes first.
    `path` is the endpoint's, with names where the target has keys: what may be told of a call to anybody.
    `past_caches` wants the read made, whatever is kept or under way. `is_success` tells an answer that may be kept
    from an error that comes with the same status; `meaning` returns the code of such an error. `trail` is told of
    each attempt.
    """

    system: System
    method: Method
    target: str
    credential: Credential
    deadline: float
    reads: bool
    safe_to_retry: bool
    headers: Mapping[str, str] = NO_HEADERS
    body: bytes | None = None
    path: str = ""
    tags: frozenset[str] = frozenset()
    past_caches: bool = False
    since: float = 0.0
    is_success: "Callable[[Answer], bool]" = _any
    meaning: "Callable[[Answer], str | None]" = no_error
    trail: "Trail | None" = None

    def __repr__(self) -> str:
        return f"<Call {self.system.name} {self.method} {self.target} with {self.credential!r}>"

    @property
    def key(self) -> Key:
        """What makes two reads the same, the credential among it."""
        return (self.system, self.method, self.target, self.body, self.credential)


class Write(msgspec.Struct, frozen=True):
    """What was written: it may yet take effect in the next `open_s` seconds, if that is not known."""

    system: System
    tags: frozenset[str]
    open_s: float = 0.0

    def touches(self, read: Call) -> bool:
        """Whether it changes what a read tells of."""
        return self.system is read.system and not self.tags.isdisjoint(read.tags)


class Others(Protocol):
    """The other gateways of a group."""

    @property
    def is_trusted(self) -> bool:
        """Whether all that they write is known here before it is answered."""

    async def touched(self, write: Write) -> None:
        """Tell them of a write; it is answered when this returns."""


class Answer(msgspec.Struct, frozen=True):
    """What came back: of its headers `READ_HEADERS`, in lower case; `body` is decoded from any content coding.

    `stale` marks one that was kept for longer than it is fresh, and given out because the upstream fails. One that
    may be kept for less than its system's answers are says until when it is fresh, on the loop's clock.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    stale: bool = False
    fresh_until: float | None = None

    def __repr__(self) -> str:
        return f"<Answer {self.status}, {len(self.body):,} bytes>"


MAX_VALIDATOR_LENGTH = 1000

VALIDATORS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
"""What an answer gives, and what asks whether it still holds."""


def may_be_kept(call: Call, answer: Answer) -> bool:
    """Whether an answer is good for who asks next, too."""
    return answer.status == 200 and not forbids_keeping(answer) and call.is_success(answer)


def forbids_keeping(answer: Answer) -> bool:
    """Whether the system says that its answer is not to be kept."""
    return "no-store" in answer.headers.get("cache-control", "").lower()


def validators_of(call: Call, answer: Answer) -> Mapping[str, str]:
    """Return what will ask whether the answer still holds; a POST that matches is no 304 but a 412 (RFC 9110)."""
    if call.method != "GET":
        return NO_HEADERS
    given = ((name, answer.headers.get(name, "")) for name in VALIDATORS)
    return {
        name: value
        for name, value in given
        if value and value.isascii() and value.isprintable() and len(value) <= MAX_VALIDATOR_LENGTH
    }


def leaves_open(status: int) -> bool:
    """Whether a status does not say of a write if it took effect. A 503 does: it was not let in."""
    return status >= 500 and status != 503


Send = Callable[[Call], Awaitable[Answer]]
"""Carries a call to its system: every part of the upstream path has this shape.

Raises `TimedOut`, `Unavailable`, `OutcomeUnknown` or `BadResponse`; whatever status came back is an answer.
"""
