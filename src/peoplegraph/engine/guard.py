"""What fields need of who asks, and what becomes of a field that is asked for without it."""

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Any

import strawberry
from graphql import GraphQLField, GraphQLResolveInfo, is_interface_type, is_object_type
from graphql.execution.middleware import MiddlewareManager

from peoplegraph.engine.plan import Operation


class Denied:
    """The needs that a request does not meet."""

    def __init__(
        self,
        needs: frozenset[str],
        requires: Callable[[GraphQLField], str | None],
        denial: Callable[[str], Exception],
    ) -> None:
        self._needs = needs
        self._requires = requires
        self._denial = denial
        self.middleware = MiddlewareManager(self)

    def __repr__(self) -> str:
        return f"<Denied {sorted(self._needs)}>"

    def need(self, definition: GraphQLField) -> str | None:
        """Return what a field needs and the request does not meet, if anything."""
        need = self._requires(definition)
        return need if need in self._needs else None

    def error(self, need: str) -> Exception:
        """Return the error of a field that is not resolved."""
        return self._denial(need)

    def resolve(
        self, resolve: Callable[..., Any], source: Any, info: GraphQLResolveInfo[Any], **arguments: Any
    ) -> Any:
        """Resolve a field, or refuse to, where graphql-core executes: the manager calls a method of this name."""
        definition = info.parent_type.fields.get(info.field_name)
        need = self.need(definition) if definition is not None else None
        if need is not None:
            raise self.error(need)
        return resolve(source, info, **arguments)


class Guard:
    """Lets fields be resolved for those only who meet what they need.

    `requires` tells what a field needs, if anything, and `denial` makes the error of one that is asked for without:
    it is null with that error, and its resolver is not called.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        requires: Callable[[GraphQLField], str | None],
        denial: Callable[[str], Exception],
    ) -> None:
        self._requires = requires
        self._denial = denial
        self._denied: dict[frozenset[str], Denied] = {}
        self._by_name: dict[str, set[str]] = defaultdict(set)
        for type_ in schema._schema.type_map.values():  # noqa: SLF001  # Strawberry has no other way to it
            if is_object_type(type_) or is_interface_type(type_):
                for name, definition in type_.fields.items():
                    need = requires(definition)
                    if need is not None:
                        self._by_name[name].add(need)

    def denied(self, operation: Operation, granted: Collection[str]) -> Denied | None:
        """Return what a request with these grants is denied in an operation; None if it is nothing."""
        needs: frozenset[str] | None = operation.notes.get(self)  # at most: by the fields' names
        if needs is None:
            needs = frozenset().union(*(self._by_name.get(name, ()) for name in operation.field_names))
            operation.notes[self] = needs
        if needs.issubset(granted):
            return None
        missing = needs.difference(granted)
        if missing not in self._denied:
            self._denied[missing] = Denied(missing, self._requires, self._denial)
        return self._denied[missing]
