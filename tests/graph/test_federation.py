"""The schema as a subgraph: what is written into its text for routers, and what is not."""

import re
from itertools import permutations
from typing import Any

import pytest
from graphql import (
    GraphQLNonNull,
    ObjectTypeDefinitionNode,
    StringValueNode,
    build_schema,
    get_named_type,
    parse,
    validate_schema,
)
from graphql.utilities import find_breaking_changes

from peoplegraph.backends import BACKENDS
from peoplegraph.errors import BadInput
from peoplegraph.graph.federation import VALUES, Key, subgraph_sdl
from peoplegraph.schema import build_federated, print_schema, print_subgraph
from peoplegraph.schema import build_schema as build_plain

PLAIN = print_schema()
SDL = print_subgraph()
TYPES = {each.name.value: each for each in parse(SDL).definitions if isinstance(each, ObjectTypeDefinitionNode)}
KEYS = {
    "Representative": "reference",
    "Assignee": "assigneeId",
    "Rep": "repId",
    "Department": "departmentId",
    "Account": "number",
    "Document": "number",
}


def directives(type_name: str) -> list[str]:
    """Return the names of the directives on a type."""
    return [directive.name.value for directive in TYPES[type_name].directives or ()]


def test_each_entity_has_its_key() -> None:
    """The six types that others may refer to have their keys, and no other type has one."""
    keys = {}
    for name, definition in TYPES.items():
        for directive in definition.directives or ():
            for argument in directive.arguments or ():
                assert directive.name.value == "key"
                assert isinstance(argument.value, StringValueNode)
                keys[name] = argument.value.value
    assert keys == KEYS


def test_a_key_is_a_field_of_its_kind() -> None:
    """Each key is a field that may not be null, of the type that representations are checked for."""
    schema: Any = build_schema(SDL)
    for backend in BACKENDS:
        for kind, entity in backend.entities.items():
            type_ = schema.type_map[kind.__name__].fields[entity.key.field].type
            assert isinstance(type_, GraphQLNonNull)
            assert get_named_type(type_).name == {str: "String", int: "Int"}[entity.key.kind]


def test_what_others_may_hand_out_is_shareable() -> None:
    """Pages and values are shareable; entities, roots, payloads and what is RPM's own are not."""
    shareable = {name for name in TYPES if "shareable" in directives(name)}
    assert {name for name in shareable if name.endswith(("Connection", "Edge"))} | VALUES == shareable
    assert {"PageInfo", "AccountConnection", "AccountEdge", "InvalidInput"} <= shareable
    assert shareable.isdisjoint({*KEYS, "Query", "Mutation", "RepPayload", "Agency", "Supplier"})


def test_nothing_that_routers_add_themselves_is_in_the_text() -> None:
    """Neither the root fields that routers know of, nor a directive that none of them acts on."""
    assert not re.search(r"\b_(?:service|entities|Any|Entity|Service)\b|requiresScope", SDL)
    fields = [field for each in TYPES.values() for field in each.fields or ()]
    assert len(fields) > 150
    assert not [field for field in fields if field.directives]
    assert "Needs the scope `assignees:read`." in SDL


def test_the_text_is_a_schema() -> None:
    """GraphQL's tools read it as it is, and find all in it that is in the plain one."""
    federated = build_schema(SDL)
    assert validate_schema(federated) == []
    changes = {change.description for change in find_breaking_changes(build_schema(PLAIN), federated)}
    assert changes == {"Directive @requiresScope was removed."}


def test_the_link_comes_first_and_once() -> None:
    """The text begins with the version of federation that it is of, and imports what it uses."""
    assert SDL.startswith('extend schema @link(url: "https://specs.apollo.dev/federation/v2.0", import: [')
    assert SDL.count("schema @link(") == 1
    used = set(re.findall(r"^type .*?(@\w+)", SDL, re.MULTILINE))
    assert set(re.findall(r'"(@\w+)"', SDL.splitlines()[0])) == used == {"@key", "@shareable"}


def test_the_plain_schema_has_nothing_of_federation() -> None:
    """Built beside the other one in the same process, in either order, it is what it was."""
    for builders in permutations((build_plain, build_federated)):
        schemas = {build: build() for build in builders}
        plain, federated = schemas[build_plain], schemas[build_federated]
        assert plain.as_str() + "\n" == PLAIN
        beyond = federated._schema.type_map.keys() - plain._schema.type_map.keys()  # noqa: SLF001
        assert beyond == {"_Any", "_Entity", "_Service"}
    assert not re.search(r"\b_\w|@key|@link|@shareable", PLAIN)


def test_what_routers_ask_is_described() -> None:
    """What a subgraph has beyond the plain schema has its docs, too."""
    core: Any = build_federated()._schema  # noqa: SLF001
    for name in ("_Any", "_Entity", "_Service"):
        assert core.type_map[name].description
    for name in ("_service", "_entities"):
        assert core.query_type.fields[name].description
    assert core.query_type.fields["_entities"].args["representations"].description
    assert str(core.query_type.fields["_entities"].type) == "[_Entity]!"
    assert {str(each) for each in core.type_map["_Entity"].types} == set(KEYS)


def test_what_is_on_a_type_already_stays() -> None:
    """Federation's directives are added to those that a type has."""
    text = 'directive @mine on OBJECT\n\ntype T @mine {\n  n: Int! @requiresScope(scope: "x")\n}\n'
    assert 'type T @mine @key(fields: "n") {\n  n: Int!\n}' in subgraph_sdl(text, {"T": Key("n", int)})


@pytest.mark.parametrize(
    ("key", "value"),
    [(Key("n"), 1), (Key("n"), ""), (Key("n"), None), (Key("n"), ["a"]), (Key("n", int), "1")]
    + [(Key("n", int), value) for value in (True, 1.0, 2**31, -(2**31) - 1, None)],
)
def test_a_key_of_another_kind_is_refused(key: Key, value: object) -> None:
    """A key is of the type that its field is of, as GraphQL has it, and is not empty."""
    with pytest.raises(BadInput, match="A representation of T needs a `n`: "):
        key.read("T", {"n": value})
    good: Any = {str: "a", int: 2**31 - 1}[key.kind]
    assert key.read("T", {"n": good}) == good
