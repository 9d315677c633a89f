"""Positions in a response, and the errors at them.

They are linked tuples, `(the position above, key or index, type name)`: graphql-core's `Path` is the same tuple
with names, and equal to it.
"""

from typing import Any, cast

from graphql import GraphQLError, get_nullable_type, is_non_null_type
from graphql.pyutils import Path

from peoplegraph.engine.sites import Site

Position = tuple[Any, str | int, str | None]


class Errors:
    """The errors of a run; where a position has become null, nothing below it is reported any more."""

    def __init__(self) -> None:
        self.errors: list[GraphQLError] = []
        self._positions: set[Position | None] = set()

    def add(self, error: GraphQLError, position: Position | None) -> None:
        """Take an error at the position that becomes null for it; None is the whole."""
        if not self.covers(position):
            self._positions.add(position)
            self.errors.append(error)

    def covers(self, position: Position | None) -> bool:
        """Whether the position, or one above it, has become null."""
        if not self._positions:
            return False
        while position is not None:
            if position in self._positions:
                return True
            position = position[0]
        return None in self._positions


def null_position(position: Position, site: Site) -> Position | None:
    """Return the closest position above that may be null; None is the whole response."""
    types: list[Any] = [site.definition.type]
    at: Any = position
    while isinstance(at[1], int):
        types.append(get_nullable_type(types[-1]).of_type)
        at = at[0]
    at = position
    for type_ in reversed(types[:-1]):
        at = at[0]
        if not is_non_null_type(type_):
            return cast("Position", at)
    if site.null_up is None:
        return None
    for _ in range(site.null_up):
        at = at[0]
    return cast("Position", at)


def as_list(position: Position | None) -> list[str | int]:
    """Return the keys of a position, outermost first."""
    keys: list[str | int] = []
    while position is not None:
        keys.append(position[1])
        position = position[0]
    keys.reverse()
    return keys


def as_path(position: Position) -> Path:
    """Return graphql-core's path of a position."""
    above, key, type_name = position
    return Path(as_path(above) if above is not None else None, key, type_name)
