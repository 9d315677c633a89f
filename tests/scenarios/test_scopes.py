"""Scopes: who may ask for what, through the front door."""

from collections.abc import Iterator
from inspect import iscoroutinefunction
from typing import Any

import pytest
from graphql import GraphQLField, GraphQLObjectType, get_named_type, is_interface_type, is_object_type

from peoplegraph.access.api_keys import new_key
from peoplegraph.backends import BACKENDS
from peoplegraph.graph.node import encode_id
from peoplegraph.graph.scoped import scope_of
from peoplegraph.schema import build_federated
from peoplegraph.scopes import DATA, Scope
from tests.conftest import MakeGateway
from tests.gateway import Gateway
from tests.test_docs import INPUTS

SCHEMA = build_federated()._schema  # noqa: SLF001  # Strawberry has no other way to it

BY_TYPE = {kind.__name__: backend.reads for backend in BACKENDS for kind in backend.nodes}
WITHOUT_OWN = {
    "Query.node": "each type has its own, by the id",
    "Query.nodes": "each type has its own, by the ids",
    "Query._entities": "each type has its own, by the representations",
    "PageInfo.hasNextPage": "a page is had of a connection, which has one",
}
SELECTIONS: dict[str, str] = {
    "representative": '(reference: "REP-021") { name }',
    "assignee": '(by: { assigneeId: "asg-0006" }) { email }',
    "assignees": " { totalCount }",
    "currentAssignee": " { email }",
    "department": '(departmentId: "dep-01") { code }',
    "departments": " { code }",
    "rep": "(by: { repId: 1001 }) { name }",
}


def fields() -> Iterator[tuple[str, GraphQLField]]:
    """Yield every field of the schema, by `Type.field`."""
    for type_ in SCHEMA.type_map.values():
        if (is_object_type(type_) or is_interface_type(type_)) and not type_.name.startswith("__"):
            for name, definition in type_.fields.items():
                yield f"{type_.name}.{name}", definition


def reaches_an_upstream(definition: GraphQLField) -> bool:
    """Whether a field's resolver awaits anything."""
    resolver = getattr(definition.extensions.get("strawberry-definition"), "base_resolver", None)
    return resolver is not None and iscoroutinefunction(resolver.wrapped_func)


async def asker(make: MakeGateway, *scopes: Scope) -> tuple[Gateway, dict[str, str]]:
    """Run a gateway, and return it with the header of somebody who has these scopes."""
    key, sha256 = new_key()
    gateway = await make(
        api_keys=[{"name": "test", "sha256": sha256, "scopes": list(scopes)}], current_assignee="key-owner"
    )
    return gateway, {"authorization": f"Bearer {key}"}


def test_every_field_that_reaches_an_upstream_has_a_scope() -> None:
    """Whoever adds a field says who may ask for it; the description says it, too."""
    reaching = {name: definition for name, definition in fields() if reaches_an_upstream(definition)}
    assert len(reaching) > 30
    assert {name for name, definition in reaching.items() if scope_of(definition) is None} == set(WITHOUT_OWN)
    for name, definition in reaching.items():
        scope = scope_of(definition)
        if scope is not None:
            assert f"Needs the scope `{scope}`." in (definition.description or ""), name
        else:
            assert name == "PageInfo.hasNextPage" or "eeds the scope that its type needs" in (
                definition.description or ""
            )


def test_scopes_belong_to_what_they_guard() -> None:
    """Mutations need a scope to write; a field whose value is a record needs the one to read its system."""
    for name, definition in fields():
        scope = scope_of(definition)
        if scope is None:
            continue
        if name.startswith("Mutation."):
            assert scope.endswith(":write"), name
        else:
            assert scope.endswith(":read"), name
            value: Any = get_named_type(definition.type)
            expected = BY_TYPE.get(value.name)
            assert expected in (None, scope), name


@pytest.mark.parametrize("field", SELECTIONS)
async def test_each_root_field_needs_its_scope(gateway_with: MakeGateway, field: str) -> None:
    """Without it the field is null and FORBIDDEN, no call is made, and its sibling is answered; with it, not."""
    root = SCHEMA.query_type
    assert isinstance(root, GraphQLObjectType)
    needed = scope_of(root.fields[field])
    assert needed is not None
    others = [scope for scope in Scope if scope != needed]
    gateway, headers = await asker(gateway_with, *others)
    reply = await gateway.ask(f"{{ __typename {field}{SELECTIONS[field]} }}", headers)
    assert reply.data == {"__typename": "Query", field: None}
    assert reply.codes == {field: "FORBIDDEN"}
    assert reply.errors[0]["extensions"]["scope"] == needed
    assert reply.errors[0]["extensions"]["retryable"] is False
    assert gateway.calls == []
    gateway, headers = await asker(gateway_with, needed)
    reply = await gateway.ask(f"{{ {field}{SELECTIONS[field]} }}", headers)
    assert reply.errors == []
    assert reply.data[field] is not None


@pytest.mark.parametrize("field", INPUTS)
async def test_each_mutation_needs_its_scope(gateway_with: MakeGateway, field: str) -> None:
    """Without the scope to write nothing is written, nor read, whatever else the caller may do."""
    root = SCHEMA.mutation_type
    assert isinstance(root, GraphQLObjectType)
    needed = scope_of(root.fields[field])
    gateway, headers = await asker(gateway_with, *(scope for scope in Scope if scope != needed))
    for arguments in INPUTS[field]:
        reply = await gateway.ask(f"mutation {{ {field}{arguments} }}", headers)
        assert reply.codes == {field: "FORBIDDEN"}
        assert reply.data == {field: None}
        assert gateway.calls == []


async def test_who_may_write_need_not_read(gateway_with: MakeGateway) -> None:
    """A write is made for who may write; the record in its answer is for who may read."""
    gateway, headers = await asker(gateway_with, Scope.ASSIGNEES_WRITE)
    reply = await gateway.ask(
        """mutation { updateAssignee(by: { assigneeId: "asg-0006" }, input: { title: "T" }) {
          errors { message } assignee { title } } }""",
        headers,
    )
    assert reply.data == {"updateAssignee": {"errors": [], "assignee": None}}
    assert reply.codes == {"updateAssignee.assignee": "FORBIDDEN"}
    assert len(gateway.writes) == 1


async def test_lists_that_may_not_be_null(gateway_with: MakeGateway) -> None:
    """Of `representatives` and `reps` each entry is refused by itself, and the other list is answered."""
    gateway, headers = await asker(gateway_with, Scope.REPRESENTATIVES_READ)
    query = '{ reps(repIds: [1001, 1002]) { name email } representatives(references: ["REP-001"]) { reference } }'
    reply = await gateway.ask(query, headers)
    assert reply.data == {"reps": [None, None], "representatives": [{"reference": "REP-001"}]}
    assert reply.codes == {"reps.0": "FORBIDDEN", "reps.1": "FORBIDDEN"}
    assert not [call for call in gateway.calls if "RPM" in call]
    gateway, headers = await asker(gateway_with, Scope.REPS_READ)
    reply = await gateway.ask(query, headers)
    assert reply.codes == {"representatives.0": "FORBIDDEN"}
    assert [rep["name"] is not None for rep in reply.data["reps"]] == [True, True]


async def test_no_way_around(gateway_with: MakeGateway) -> None:
    """Whoever may read representatives alone gets no assignee and no rep by any route: joins, ids, fragments."""
    gateway, headers = await asker(gateway_with, Scope.REPRESENTATIVES_READ)
    ids = [encode_id("Assignee", "asg-0006"), encode_id("Rep", "1001"), encode_id("Representative", "REP-021")]
    reply = await gateway.ask(
        """query ($ids: [ID!]!, $assignee: ID!) {
          representative(reference: "REP-021") {
            name assignee { email } a: assignee { id } counterparts { email } supervisor { counterparts { id } }
            ... on Person { counterparts { id } } ...F
          }
          nodes(ids: $ids) { id ... on Person { email counterparts { id } } }
          node(id: $assignee) { id }
        }
        fragment F on Person { more: counterparts { displayName } }""",
        headers,
        ids=ids,
        assignee=ids[0],
    )
    assert not [call for call in gateway.calls if not call.startswith("COLLECTIONS")]
    found = reply.data["representative"]
    assert found["name"] is not None
    assert found["assignee"] is found["a"] is found["counterparts"] is found["more"] is None
    assert [node and node["id"] for node in reply.data["nodes"]] == [None, None, ids[2]]
    assert reply.data["node"] is None
    assert set(reply.codes.values()) == {"FORBIDDEN"}


async def test_the_other_executor_refuses_alike(gateway_with: MakeGateway) -> None:
    """With compilation off the answer is the same."""
    query = """{ representative(reference: "REP-021") { name assignee { email } counterparts { id } }
      reps(repIds: [1001]) { name } departments { code } }"""
    replies = []
    for compiles in (True, False):
        key, sha256 = new_key()
        gateway = await gateway_with(
            compile=compiles, api_keys=[{"name": "x", "sha256": sha256, "scopes": [Scope.REPRESENTATIVES_READ]}]
        )
        reply = await gateway.ask(query, {"authorization": f"Bearer {key}"})
        replies.append((reply.data, reply.codes))
    assert replies[0] == replies[1]
    assert len(replies[0][1]) == 4


async def test_what_open_callers_may(gateway_with: MakeGateway) -> None:
    """Who needs no credential has the scopes that the settings give to everybody: all data, or less."""
    gateway = await gateway_with()
    reply = await gateway.ask("{ departments { code } rep(by: { repId: 1001 }) { name } }")
    assert reply.errors == []
    assert set(DATA) == {scope for scope in Scope if scope.endswith((":read", ":write"))}
    gateway = await gateway_with(open_scopes=[Scope.REPS_READ])
    reply = await gateway.ask("{ departments { code } rep(by: { repId: 1001 }) { name } }")
    assert reply.codes == {"departments": "FORBIDDEN"}
