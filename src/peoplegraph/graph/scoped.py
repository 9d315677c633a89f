"""Scopes on the schema: what a field needs is written on it, as data and in its description."""

from typing import Any

import strawberry
from graphql import GraphQLField, is_non_null_type
from strawberry.schema_directive import Location

from peoplegraph.errors import MissingScope
from peoplegraph.scopes import SYSTEMS, Scope


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="requiresScope",
    description="The field is for callers with this scope; for others it is null, with a `FORBIDDEN` error.",
)
class RequiresScope:
    """What a field needs."""

    scope: str


def scoped(scope: Scope, description: str) -> Any:
    """Return Strawberry's decorator of a field that is for callers with `scope`, and says so.

    Of a list that may not be null each entry is refused by itself: its resolver sees to it, with `Context.loaders`.
    """
    return strawberry.field(
        description=f"{description} Needs the scope `{scope}`.", directives=[RequiresScope(scope=scope.value)]
    )


def scope_of(definition: GraphQLField) -> Scope | None:
    """Return what a field needs, if anything."""
    field = definition.extensions.get("strawberry-definition")
    for directive in getattr(field, "directives", ()):
        if isinstance(directive, RequiresScope):
            return Scope(directive.scope)
    return None


def refused_whole(definition: GraphQLField) -> Scope | None:
    """Return what a field needs to be resolved at all."""
    return None if is_non_null_type(definition.type) else scope_of(definition)


def missing(scope: str) -> MissingScope:
    """Return the error of a field that needs a scope which the caller lacks."""
    return MissingScope(SYSTEMS[scope.partition(":")[0]], scope)
