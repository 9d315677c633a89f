"""Apollo Federation 2: the schema as routers compose it with others, and how these refer to its records.

Follows Apollo's page "Apollo Federation Subgraph Specification".
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NewType, cast

import strawberry
from graphql import (
    REMOVE,
    DirectiveDefinitionNode,
    DirectiveNode,
    GraphQLInt,
    GraphQLString,
    ObjectTypeDefinitionNode,
    Visitor,
    VisitorAction,
    parse,
    print_ast,
    visit,
)
from strawberry.types.scalar import ScalarDefinition

from peoplegraph.errors import BadInput

MAX_REPRESENTATIONS = 1_000
"""How many records a router may ask for in one request: as many as what another subgraph has answered refers to."""

LINK = """\
extend schema @link(url: "https://specs.apollo.dev/federation/v2.0", import: ["@key", "@shareable"])

directive @link(url: String!, as: String, for: link__Purpose, import: [link__Import]) repeatable on SCHEMA

directive @key(fields: federation__FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE

directive @shareable on OBJECT | FIELD_DEFINITION

scalar federation__FieldSet

scalar link__Import

enum link__Purpose {
  EXECUTION
  SECURITY
}
"""
"""The first version has all that is used, and no composer is too old for it; with the definitions of what it links
to, which composers know, the text is a schema to all other tools, too."""

VALUES = frozenset(
    """
    PageInfo PhoneNumber Address NotFound AlreadyExists FieldIssue InvalidInput PermissionDenied LinkError
    """.split()
)
"""The types of values, which another subgraph may hand out, too; so it may connections."""

_CONNECTIONS = ("Connection", "Edge")

_UNCOMPOSED = "requiresScope"
"""No router acts on it, and its own kind (`@requiresScopes`) some refuse to run with: fields say it in words."""

Representation = NewType("Representation", object)

ANY: Mapping[object, ScalarDefinition] = {
    Representation: strawberry.scalar(
        name="_Any",
        description="A record of this subgraph as others refer to it: its `__typename` and its key.",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    )
}


@dataclass(frozen=True, slots=True)
class Key:
    """The field that other subgraphs refer to a type's records by, and what its values are."""

    field: str
    kind: type[str] | type[int] = str

    def read(self, type_name: str, fields: Mapping[str, Any]) -> Any:
        """Return the key in a representation's fields; raises `BadInput`."""
        key = fields.get(self.field)
        if type(key) is not self.kind or key == "" or (isinstance(key, int) and not -(2**31) <= key < 2**31):
            named = GraphQLInt.name if self.kind is int else GraphQLString.name
            raise BadInput(f"A representation of {type_name} needs a `{self.field}`: {named}")
        return key


def fields_of(representation: object) -> tuple[str, Mapping[str, Any]]:
    """Return the name of the type that a representation is of, and its fields; raises `BadInput`."""
    type_name = representation.get("__typename") if isinstance(representation, dict) else None
    if not isinstance(representation, dict) or not isinstance(type_name, str):
        raise BadInput("A representation is an object with a `__typename`")
    return type_name, representation


def check_representations(count: int) -> None:
    """Raise `BadInput` where there are more representations than one request may have."""
    if count > MAX_REPRESENTATIONS:
        raise BadInput(f"representations: {count:,}, and at most {MAX_REPRESENTATIONS:,} may be asked for at once")


def subgraph_sdl(schema: str, keys: Mapping[str, Key]) -> str:
    """Return a schema's text as composers read it: with the keys of those types that have one."""
    return f"{LINK}\n{print_ast(visit(parse(schema), _Subgraph(keys)))}\n"


class _Subgraph(Visitor):
    """Writes federation's directives on types, and takes away what a router knows nothing of."""

    def __init__(self, keys: Mapping[str, Key]) -> None:
        super().__init__()
        self._keys = keys

    def enter_directive_definition(self, node: DirectiveDefinitionNode, *_: Any) -> VisitorAction:
        return REMOVE if node.name.value == _UNCOMPOSED else None

    def enter_directive(self, node: DirectiveNode, *_: Any) -> VisitorAction:
        return REMOVE if node.name.value == _UNCOMPOSED else None

    def leave_object_type_definition(self, node: ObjectTypeDefinitionNode, *_: Any) -> Any:
        name = node.name.value
        if name in self._keys:
            return _with(node, f'@key(fields: "{self._keys[name].field}")')
        if name in VALUES or name.endswith(_CONNECTIONS):
            return _with(node, "@shareable")
        return None


def _with(node: ObjectTypeDefinitionNode, directive: str) -> ObjectTypeDefinitionNode:
    (written,) = parse(f"type T {directive}").definitions
    added = cast("ObjectTypeDefinitionNode", written).directives or ()
    return replace(node, directives=(*(node.directives or ()), *added))
