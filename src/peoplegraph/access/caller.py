"""Who asks."""

from typing import Literal

import msgspec

from peoplegraph.access.scopes import Scope


class Caller(msgspec.Struct, frozen=True):
    """Somebody who was let in, with what they may do; `name` is that of a key, or the subject of a token."""

    name: str
    kind: Literal["key", "token", "open"]
    scopes: frozenset[Scope]

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
