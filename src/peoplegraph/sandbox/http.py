"""What the emulators know of HTTP: requests by their raw path, JSON answers, and the ledger."""

import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from peoplegraph.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Request:
    """A request; `segments` are those of the raw path below the system's base, each decoded by itself."""

    method: str
    target: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, or None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, and the JSON document that comes with it, if any does."""

    status: int
    document: Any = None
    has_body: bool = True


def empty(status: int) -> Reply:
    """Answer without a body."""
    return Reply(status, has_body=False)


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """What a system received and answered. `target` is the raw path below the base, with its query.

    The `status` is 0 where the connection was reset instead.
    """

    system: str
    method: str
    target: str
    body: Any
    status: int
    headers: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


class Ledger:
    """Every call that the systems received, the last 10,000 of them."""

    def __init__(self) -> None:
        self.calls: deque[RecordedCall] = deque(maxlen=10_000)

    def of(self, system: str) -> list[RecordedCall]:
        """Return the calls to one system."""
        return [call for call in self.calls if call.system == system]


class System(ABC):
    """The base of the emulated systems."""

    name: ClassVar[str]
    """The gateway's name of the system."""
    base: ClassVar[str]
    """The path that its base URL has."""
    settings: ClassVar[Mapping[str, str]]
    """What a gateway's settings need beside the URL."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @abstractmethod
    def answer(self, request: Request) -> Reply:
        """Answer one request."""
