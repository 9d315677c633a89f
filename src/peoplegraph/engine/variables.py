"""Variables: coerced at once where they are plain, by graphql-core where there is more to it."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLID,
    GraphQLInt,
    GraphQLSchema,
    GraphQLString,
    VariableDefinitionNode,
    get_named_type,
    is_list_type,
    is_non_null_type,
    type_from_ast,
)
from graphql.execution.values import get_variable_values

MAX_ERRORS = 50
"""How many things that are wrong with variables are told: what graphql-core tells when it executes."""

_PLAIN: dict[Any, Callable[[Any], bool]] = {
    GraphQLString: lambda value: value.__class__ is str,
    GraphQLID: lambda value: value.__class__ is str,
    GraphQLBoolean: lambda value: value.__class__ is bool,
    GraphQLInt: lambda value: value.__class__ is int and -(2**31) <= value < 2**31,
}
"""The scalars whose values are, if they are of this kind, as they should be."""


class Variables:
    """Coerced values, with graphql-core's `VariableValues` for who asks for more than `coerced`."""

    def __init__(self, coerced: Mapping[str, Any], source: Callable[[], Any]) -> None:
        self.coerced = coerced
        self._source = source

    @cached_property
    def sources(self) -> Any:
        """Where each value came from."""
        return self._source().sources


class Coercer:
    """Coerces the variables of one operation."""

    def __init__(self, schema: GraphQLSchema, definitions: tuple[VariableDefinitionNode, ...]) -> None:
        self._schema = schema
        self._definitions = definitions
        self._plain = [
            (node.variable.name.value, check)
            for node in definitions
            if (check := _check(type_from_ast(schema, node.type))) is not None
        ]
        self._all_plain = len(self._plain) == len(definitions)

    def __call__(self, given: Mapping[str, Any] | None) -> Any:
        """Return `Variables`, `VariableValues`, or the list of errors that there are."""
        given = given or {}
        if self._all_plain:
            coerced = {name: given[name] for name, check in self._plain if name in given and check(given[name])}
            if len(coerced) == len(self._plain):
                return Variables(coerced, lambda: self._by_graphql_core(given))
        return self._by_graphql_core(given)

    def _by_graphql_core(self, given: Mapping[str, Any]) -> Any | list[GraphQLError]:
        return get_variable_values(self._schema, self._definitions, dict(given), max_errors=MAX_ERRORS)


def _check(type_: Any) -> Callable[[Any], bool] | None:
    """Return what tells a value that needs no coercion, for a plain type or a list of one."""
    plain = _PLAIN.get(get_named_type(type_))
    inner = type_.of_type if is_non_null_type(type_) else type_
    if plain is None or not is_list_type(inner):
        return plain
    item = inner.of_type.of_type if is_non_null_type(inner.of_type) else inner.of_type
    if is_list_type(item):
        return None
    return lambda value: value.__class__ is list and all(map(plain, value))
