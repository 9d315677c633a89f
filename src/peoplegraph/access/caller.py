"""Who asks."""

import hashlib
from collections.abc import Iterable
from typing import Literal

from peoplegraph.scopes import Scope


class Caller:
    """Somebody who was let in, with what they may do; `name` is that of a key, or the subject of a token."""

    __slots__ = ("alias", "grants", "kind", "name", "scopes")

    def __init__(self, name: str, kind: Literal["key", "token", "open"], scopes: Iterable[Scope]) -> None:
        self.name = name
        self.kind = kind
        self.scopes = frozenset(scopes)
        self.grants = " ".join(sorted(self.scopes))
        """The scopes as text, which is looked up in less time than a set."""
        called = hashlib.sha256(name.encode()).hexdigest()[:12] if kind == "token" else name
        self.alias = f"{kind} {called}"
        """What the log may call it: the subject of a token may be somebody's name, and is digested."""

    def __repr__(self) -> str:
        return f"<Caller {self}: {self.grants}>"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Unauthenticated(Exception):
    """There is no valid credential; the message says why, and goes to the caller."""

    def __init__(self, message: str, *, given: bool = True) -> None:
        super().__init__(message)
        self.given = given
        """Whether there was one at all."""


class KeysUnavailable(Exception):
    """Nobody can tell for now whether a token is valid: the keys to check it with cannot be had."""
