"""What the difference between two schemas means for clients: what breaks them, what may, what is safe.

graphql-core finds most changes. Added here is what it passes over: directives as they are applied (a scope that a
field needs now is a break for who lacks it), new types behind an interface, roots, and what it takes for a lesser
change than it is. A change has a place, the coordinate at which an operation meets it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLError,
    GraphQLInputField,
    GraphQLSchema,
    OperationType,
    build_schema,
    is_introspection_type,
    is_object_type,
    is_required_argument,
    is_required_input_field,
    is_specified_scalar_type,
    print_ast,
    validate_schema,
)
from graphql.language import DirectiveLocation
from graphql.utilities import BreakingChange, DangerousChange, find_schema_changes


class Weight(StrEnum):
    """What a change means for clients, the worst first."""

    BREAKING = "breaking"
    DANGEROUS = "dangerous"
    SAFE = "safe"


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A change, and the place at which operations meet it: a coordinate such as `Rep.name`; empty for anywhere."""

    weight: Weight
    text: str
    place: str


class SchemaError(Exception):
    """A text is no schema."""


Parts = Mapping[str, Any]
"""All that a schema is made of, by coordinate."""

APPLIED: Mapping[str, tuple[Weight, Weight, Weight]] = {
    "requiresScope": (Weight.BREAKING, Weight.SAFE, Weight.BREAKING),
    "deprecated": (Weight.SAFE, Weight.SAFE, Weight.SAFE),
    "oneOf": (Weight.BREAKING, Weight.SAFE, Weight.SAFE),
    "key": (Weight.SAFE, Weight.BREAKING, Weight.BREAKING),
    "shareable": (Weight.SAFE, Weight.BREAKING, Weight.SAFE),
}
"""What it means that a directive is applied, is not any more, or is with other arguments; dangerous if unknown."""

UNKNOWN = (Weight.DANGEROUS, Weight.DANGEROUS, Weight.DANGEROUS)

EXECUTABLE = {
    DirectiveLocation.QUERY,
    DirectiveLocation.MUTATION,
    DirectiveLocation.SUBSCRIPTION,
    DirectiveLocation.FIELD,
    DirectiveLocation.FRAGMENT_DEFINITION,
    DirectiveLocation.FRAGMENT_SPREAD,
    DirectiveLocation.INLINE_FRAGMENT,
    DirectiveLocation.VARIABLE_DEFINITION,
}
"""Where operations can have directives."""

PLACES = tuple(
    map(
        re.compile,
        (
            r"(?:union type|implements interface) (\w+)",
            r"^(\w+) added to interfaces",
            r"(@\w+|\b[A-Za-z_]\w*\.\w+(?:\(\w+:\))?)",
            r"^(?:Standard scalar )?(\w+) (?:was removed|changed from)",
        ),
    )
)
"""How graphql-core says where a change is: it has no other way to tell."""


def read_schema(text: str, name: str) -> GraphQLSchema:
    """Return the schema in a text. Raises `SchemaError` with one line that begins with the text's name."""
    try:
        schema = build_schema(text)
        errors = validate_schema(schema)
    except (GraphQLError, TypeError) as error:
        message = getattr(error, "message", None) or str(error)
        raise SchemaError(f"{name}: it is no schema: {message.splitlines()[0]}") from None
    if errors:
        raise SchemaError(f"{name}: it is no schema: {errors[0].message.splitlines()[0]}")
    return schema


def find_changes(old: GraphQLSchema, new: GraphQLSchema) -> list[Change]:
    """Return the changes from one schema to another, the worst first."""
    before, after = parts(old), parts(new)
    found = [_told(change, old, new, after) for change in find_schema_changes(old, new)]
    found += _roots(old, new)
    found += _applied(before, after)
    found += _implementations(old, new)
    told = {change.text for change in found}
    found += [change for change in _widened(before, after) if change.text not in told]
    return sorted(found, key=lambda change: list(Weight).index(change.weight))


def parts(schema: GraphQLSchema) -> dict[str, Any]:
    """Return what a schema is made of, by coordinate: `Rep`, `Rep.name`, `Query.rep(by:)`, `System.RPM`."""
    found: dict[str, Any] = {}
    for name, kind in schema.type_map.items():
        if is_introspection_type(kind):
            continue
        found[name] = kind
        members: dict[str, Any] = getattr(kind, "fields", None) or getattr(kind, "values", None) or {}
        for member_name, member in members.items():
            found[f"{name}.{member_name}"] = member
            for argument_name, argument in getattr(member, "args", {}).items():
                found[f"{name}.{member_name}({argument_name}:)"] = argument
    return found


def parent(place: str) -> str:
    """Return the coordinate that one is part of: `Query.rep` of `Query.rep(by:)`, `Query` of that."""
    return place.rpartition("(" if "(" in place else ".")[0] or place


def _told(change: Any, old: GraphQLSchema, new: GraphQLSchema, after: Parts) -> Change:
    """Return one of graphql-core's changes as ours."""
    match change:
        case BreakingChange():
            weight = Weight.BREAKING
        case DangerousChange():
            weight = Weight.DANGEROUS
        case _:
            weight = Weight.SAFE
    kind = change.type.name
    text = change.description
    if kind == "DESCRIPTION_CHANGED":  # the difference has the words
        return Change(Weight.SAFE, re.sub(r' has changed to ".*"\.$', " has changed.", text, flags=re.DOTALL), "")
    match_ = next(filter(None, (pattern.search(text) for pattern in PLACES)), None)
    place = match_[1] if match_ else ""
    if place.startswith("@") and not _executable(place, old, new):
        weight = Weight.SAFE  # no operation can have it: what its use on a part means is told of that part
    if kind == "TYPE_REMOVED" and is_specified_scalar_type(old.type_map[place]):
        weight = Weight.SAFE  # nothing uses it any more; what did is told of by itself
    if kind.endswith("DEFAULT_VALUE_CHANGE") and _required(after.get(place)):
        weight, text = Weight.BREAKING, f"{place} has no default any more, and must be given."
    if kind.endswith(("DEFAULT_VALUE_CHANGE", "_ADDED", "_ADDED_TO_ENUM")) or _required(after.get(place)):
        place = parent(place)  # who leaves it out is met, too
    return Change(weight, text, place)


def _executable(place: str, old: GraphQLSchema, new: GraphQLSchema) -> bool:
    name = place[1:]
    return any(
        location in EXECUTABLE
        for directive in (old.get_directive(name), new.get_directive(name))
        if directive
        for location in directive.locations
    )


def _required(part: Any) -> bool:
    match part:
        case GraphQLArgument():
            return is_required_argument(part)
        case GraphQLInputField():
            return is_required_input_field(part)
        case _:
            return False


def _roots(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    """Yield which operations begin at another type, or are no more."""
    for operation in OperationType:
        was, now = (getattr(schema, f"{operation.value}_type") for schema in (old, new))
        if was is None and now is not None:
            yield Change(Weight.SAFE, f"A {operation.value} can be asked for, of type {now}.", "")
        elif was is not None and str(was) != str(now):
            yield Change(Weight.BREAKING, f"A {operation.value} begins at {now}, no more at {was}.", str(was))


def _applied(before: Parts, after: Parts) -> Iterator[Change]:
    """Yield the directives that are applied otherwise to what is in both schemas."""
    for place in filter(after.__contains__, before):
        was, now = _directives(before[place]), _directives(after[place])
        for name in {**was, **now}:
            added, dropped, changed = APPLIED.get(name, UNKNOWN)
            if name not in was:
                yield Change(added, f"{place} has {now[name]} now.", place)
            elif name not in now:
                yield Change(dropped, f"{place} has {was[name]} no more.", place)
            elif was[name] != now[name]:
                yield Change(changed, f"{place} has {now[name]} now, no more {was[name]}.", place)


def _directives(part: Any) -> dict[str, str]:
    """Return the directives on a part as they are written, by name."""
    found: dict[str, str] = {}
    for node in (part.ast_node, *(getattr(part, "extension_ast_nodes", None) or ())):
        for directive in (node and node.directives) or ():
            name = directive.name.value
            found[name] = f"{found[name]} {print_ast(directive)}" if name in found else print_ast(directive)
    return found


def _implementations(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    """Yield the new types that who asks for an interface may get, as it may of a union."""
    for name, kind in new.type_map.items():
        if name not in old.type_map and is_object_type(kind):
            for interface in kind.interfaces:
                if interface.name in old.type_map:
                    text = f"{name} was added, and implements {interface}."
                    yield Change(Weight.DANGEROUS, text, interface.name)


def _widened(before: Parts, after: Parts) -> Iterator[Change]:
    """Yield the inputs that take more than they did: of those with a default graphql-core says nothing."""
    for place in filter(after.__contains__, before):
        was, now = before[place], after[place]
        if isinstance(was, GraphQLArgument | GraphQLInputField) and str(was.type) != str(now.type):
            noun = "Argument" if isinstance(was, GraphQLArgument) else "Field"
            verb = "has changed" if noun == "Argument" else "changed"
            text = f"{noun} {place} {verb} type from {was.type} to {now.type}."
            yield Change(Weight.SAFE, text, place)
