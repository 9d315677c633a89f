"""The schema: what it promises, and that it says what everything is."""

from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
)
from graphql.type import GraphQLArgument, GraphQLInputField

from peoplegraph.schema import build_schema as build
from peoplegraph.schema import print_schema

ROOT = Path(__file__).parents[1]
CONTRACT = build_schema((Path(__file__).parent / "contract.graphql").read_text(encoding="utf-8"))
SCHEMA = build_schema(print_schema())
TYPES = {name: kind for name, kind in SCHEMA.type_map.items() if not name.startswith("__")}


def members(schema: GraphQLSchema) -> dict[str, str]:
    """Return every field, argument and value of a schema by its path, with its type."""
    found: dict[str, str] = {}
    for name, kind in schema.type_map.items():
        if name.startswith("__"):
            continue
        found[name] = type(kind).__name__
        if isinstance(kind, GraphQLEnumType):
            found |= dict.fromkeys((f"{name}.{value}" for value in kind.values), "value")
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            found |= {f"{name} implements {interface.name}": "" for interface in kind.interfaces}
            for field_name, field in kind.fields.items():
                found[f"{name}.{field_name}"] = str(field.type)
                for argument, definition in field.args.items():
                    found[f"{name}.{field_name}({argument})"] = f"{definition.type} = {definition.default_value!r}"
        if isinstance(kind, GraphQLInputObjectType):
            found[f"{name} @oneOf"] = str(kind.is_one_of)
            found |= {f"{name}.{field}": str(definition.type) for field, definition in kind.fields.items()}
    return found


def test_the_contract_is_kept() -> None:
    """Every type, field, argument and value of the contract is there, with its type."""
    ours, theirs = members(SCHEMA), members(CONTRACT)
    assert {path: ours.get(path) for path in theirs} == theirs


def test_the_committed_schema_is_the_schema() -> None:
    """`schema.graphql` is what `peoplegraph schema` prints."""
    assert (ROOT / "schema.graphql").read_text(encoding="utf-8") == print_schema()


def test_everything_has_a_description() -> None:
    """No type, field, argument or value is without its docs."""
    silent = [name for name, kind in TYPES.items() if not kind.description]

    def look(path: str, thing: GraphQLField | GraphQLArgument | GraphQLInputField) -> None:
        if not thing.description:
            silent.append(path)

    for name, kind in TYPES.items():
        if isinstance(kind, GraphQLEnumType):
            silent += [f"{name}.{value}" for value, v in kind.values.items() if not v.description]
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in kind.fields.items():
                look(f"{name}.{field_name}", field)
                for argument, definition in getattr(field, "args", {}).items():
                    look(f"{name}.{field_name}({argument})", definition)
    assert silent == []


def test_what_crosses_to_another_system_is_nullable() -> None:
    """A field whose resolver calls an upstream is nullable, or a list of nullable items: it fails alone."""
    strict = []
    for kind in build()._schema.type_map.values():  # noqa: SLF001  # Strawberry has no other way to it
        if not isinstance(kind, GraphQLObjectType) or kind.name.startswith("__"):
            continue
        for name, field in kind.fields.items():
            definition = field.extensions.get("strawberry-definition")
            resolver = definition and definition.base_resolver
            if resolver and resolver.is_async and isinstance(field.type, GraphQLNonNull):
                inner = field.type.of_type
                if not hasattr(inner, "of_type") or isinstance(inner.of_type, GraphQLNonNull):
                    strict.append(f"{kind.name}.{name}")
    assert strict == ["PageInfo.hasNextPage"]  # Relay and the contract want it so


def test_every_mutation_says_what_it_calls() -> None:
    """A mutation's description names the REST calls that it makes, and its payload is nullable."""
    assert SCHEMA.mutation_type is not None
    for name, field in SCHEMA.mutation_type.fields.items():
        assert "Calls " in (field.description or ""), name
        assert get_named_type(field.type).name.endswith("Payload")
        assert not isinstance(field.type, GraphQLNonNull)
