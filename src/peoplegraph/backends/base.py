"""What a backend is, and what the clients of all backends share: making calls and reading answers."""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

import msgspec
from strawberry import Some

from peoplegraph.backends.answers import unexpected
from peoplegraph.context import Context, Info, Session
from peoplegraph.errors import BadInput
from peoplegraph.graph.cost import NO_CALLS, Calls, Shared
from peoplegraph.graph.federation import Key
from peoplegraph.graph.node import Node
from peoplegraph.graph.person import Person
from peoplegraph.graph.text import CONTROL
from peoplegraph.scopes import Scope
from peoplegraph.systems import System
from peoplegraph.upstream.call import NO_HEADERS, Answer, Call, Endpoint, no_error

_JSON = {"Content-Type": "application/json"}

MAX_KEY_BYTES = 2000
"""The bytes of a key, percent-encoded; no vendor tells its own bound, and servers take some 8 kB of path."""

_UNRESERVED = re.compile(rf"[A-Za-z0-9_.~-]{{1,{MAX_KEY_BYTES}}}")

UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for what is not what it should be."""

_json = msgspec.json.Decoder(msgspec.Raw)

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refetch:
    """How a record is had by the key in its global id: what `node` does."""

    load: Callable[[Info, str], Awaitable[Node | None]]
    endpoint: Endpoint
    shared: str | None = None
    """What `nodes` calls once for many of them, by the name in `Backend.shared`."""


@dataclass(frozen=True, slots=True)
class Entity:
    """How a record is had by the key that another subgraph refers to it by: what `_entities` does.

    `calls` has one call of its own for each record, at most, beside what is shared.
    """

    key: Key
    load: Callable[[Info, Any], Awaitable[object]]
    calls: Calls = NO_CALLS


@dataclass(frozen=True, slots=True)
class Search:
    """How a person is had by email address."""

    load: Callable[[Info, str], Awaitable[Person | None]]
    calls: Calls


@dataclass(frozen=True, slots=True)
class Backend:
    """One system of record. The schema, the credentials and the tests loop over these."""

    system: System
    credential_headers: tuple[str, ...]
    """The vendor's headers that may carry a credential; the gateway's own key goes in the first."""
    loaders: type
    """The class of this backend's loaders, one instance a request."""
    connect: Callable[[Context], Any]
    """Makes the loaders of one request."""
    reads: Scope
    """What a caller needs to read records of the system."""
    check: Callable[[Context], Awaitable[None]]
    """Makes one harmless read; raises what is wrong with the way to the system, or with the key."""
    query: type
    """Root fields for reading."""
    mutation: type | None = None
    """Root fields for writing."""
    nodes: Mapping[type, Refetch] = field(default_factory=dict)
    """The types that have global ids."""
    entities: Mapping[type, Entity] = field(default_factory=dict)
    """The types that other subgraphs may refer to, and extend."""
    calls: Mapping[str, Calls] = field(default_factory=dict)
    """The fields that may make upstream calls, as `Type.field`, and those calls."""
    shared: Mapping[str, Shared] = field(default_factory=dict)
    """What is called once for a whole operation, by the names that `calls` has for it."""
    by_email: Search | None = None
    """Where the system can be searched so; who has counterparts has them by it."""


class Client:
    """The base of the clients: one coroutine per endpoint, each sending one `Call`."""

    system: ClassVar[System]

    def __init__(self, session: Session) -> None:
        self.session = session
        self.prefix = ""
        """What all targets begin with."""

    async def _send(  # noqa: PLR0913  # a call has that many parts
        self,
        endpoint: Endpoint,
        *keys: str,
        query: str = "",
        body: Any = None,
        safe_to_retry: bool = False,
        tags: Iterable[str] = (),
        past_caches: bool = False,
        is_success: Callable[[Answer], bool] | None = None,
        meaning: Callable[[Answer], str | None] = no_error,
    ) -> tuple[Call, Answer]:
        """Send one call and return it with its answer, whatever the answer says.

        `keys` are what the endpoint's path has names for; `query` is encoded, and begins with `?`.
        """
        reads = endpoint.reads
        call = Call(
            system=self.system,
            method=endpoint.method,
            target=self.prefix + filled(endpoint, keys) + query,
            credential=self.session.credential,
            deadline=self.session.deadline,
            reads=reads,
            safe_to_retry=safe_to_retry or reads,
            headers=NO_HEADERS if body is None else _JSON,
            body=None if body is None else encode(body),
            path=endpoint.path,
            tags=frozenset(tags),
            past_caches=past_caches,
            since=self.session.since,
            is_success=is_success or _is_json,
            meaning=meaning,
            trail=self.session.trail,
        )
        answer = await self.session.send(call)
        if answer.stale:
            self.session.stale.add(self.system)
        return call, answer


def _is_json(answer: Answer) -> bool:
    """Tell an answer from a page that something on the way shows instead, with a status that says all is well."""
    try:
        _json.decode(answer.body)
    except UNDECODABLE:
        return False
    return True


def filled(endpoint: Endpoint, keys: Iterable[str]) -> str:
    """Return an endpoint's path with keys in the places of its names.

    Each is percent-encoded whole, so that no key can change the path it is in. Raises `BadInput` for what cannot be
    a segment: no text, too much of it, or text that is not Unicode.
    """
    return _template(endpoint.path) % tuple(map(segment, keys))


@cache
def _template(path: str) -> str:
    """Return a path as the operator `%` takes it."""
    return re.sub(r"\{\w+\}", "%s", path.replace("%", "%%"))


def quoted(text: str) -> str:
    """Percent-encode a key for a path or a query; raises `BadInput` for one that cannot be sent."""
    if _UNRESERVED.fullmatch(text):  # as most keys are
        return text
    if len(encoded := quote(plain(text), safe="")) > MAX_KEY_BYTES:
        raise BadInput(f"A key may have at most {MAX_KEY_BYTES} bytes, percent-encoded")
    return encoded


def plain(text: str) -> str:
    """Return a key that may be sent; raises `BadInput` for one that nobody can have meant."""
    if CONTROL.search(text):
        raise BadInput("A key may not have control characters")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadInput("A key must be valid Unicode text") from None
    if size > MAX_KEY_BYTES:
        raise BadInput(f"A key may have at most {MAX_KEY_BYTES} bytes")
    return text


def segment(text: str) -> str:
    """Percent-encode a key for a path, whole; raises `BadInput` for one that cannot be sent."""
    if not text:
        raise BadInput("A key may not be empty")
    # "." and ".." would be resolved away on the way; an encoded dot is the same name and stays
    return text.replace(".", "%2E") if text in {".", ".."} else quoted(text)


def named(input: object, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what an input names, by the vendor's names: absent stays absent, and null stays null.

    `names` has our name of each field and the vendor's; a field of the input is a `Maybe`, or is always there.
    """
    given = {vendor: getattr(input, ours) for ours, vendor in names.items()}
    return {
        vendor: field.value if isinstance(field, Some) else field
        for vendor, field in given.items()
        if field is not None
    }


def encode(body: Any) -> bytes:
    """Encode a request's JSON body; raises `BadInput` for what JSON cannot carry."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        raise BadInput("The input holds text or numbers that JSON cannot carry") from None


def decode(system: System, decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    """Decode a body, or a part of one; raises `BadResponse` where it is not what the vendor's page says."""
    try:
        return decoder.decode(body)
    except UNDECODABLE as error:
        log.warning("%s: %s", system.title, error)  # which place and which types, never a value
        raise unexpected(system, "sent an answer that cannot be understood") from error


def document(system: System, body: bytes) -> dict[str, Any]:
    """Decode an answer's body as it is, for a merge that must keep what the wire records do not know."""
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise unexpected(system, "sent an answer that cannot be understood") from error
    if not isinstance(decoded, dict):
        raise unexpected(system, "sent an answer that cannot be understood")
    return decoded
