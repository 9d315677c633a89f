"""How many upstream calls an operation is said to make at worst, and how many it makes."""

from inspect import iscoroutinefunction
from typing import Any

import pytest
from graphql.execution.values import get_variable_values

from peoplegraph.engine import Engine
from peoplegraph.graph.cost import Budget
from peoplegraph.graph.federation import MAX_REPRESENTATIONS
from peoplegraph.schema import build_federated, call_table
from tests.conftest import MakeGateway

SCHEMA = build_federated()
CORE: Any = SCHEMA._schema  # noqa: SLF001
TABLE = call_table()
ENTITIES = """query ($r: [_Any!]!) {
  _entities(representations: $r) { ... on Representative { supervisor { name } } ... on Rep { email } }
}"""
OPERATIONS: list[tuple[str, dict[str, Any], int]] = [
    ("{ __typename __schema { types { name } } }", {}, 0),
    ('{ representative(reference: "REP-001") { name } }', {}, 1),
    (
        '{ a: representative(reference: "REP-001") { name } b: representative(reference: "REP-002") { name } }',
        {},
        2,
    ),
    ('{ representatives(references: ["REP-011", "REP-012"]) { supervisor { supervisor { name } } } }', {}, 6),
    ("query ($r: [String!]!) { representatives(references: $r) { name } }", {"r": ["REP-001"] * 3}, 3),
    ('{ representative(reference: "REP-001") { accounts(first: 5) { nodes { number } } } }', {}, 3),
    ('{ representative(reference: "REP-021") { assignee { email } counterparts { id } } }', {}, 5),
    ("{ assignees(first: 200) { nodes { department { code defaultAssignee { email } } } } }", {}, 5),
    ("{ departments { assignees { nodes { email counterparts { id } } } } }", {}, 5),
    ("{ reps(repIds: [1001, 1002, 1003]) { counterparts { id } } }", {}, 8),
    ("{ reps(repIds: [1001, 1002]) { name } }", {}, 3),
    ('{ nodes(ids: ["a", "b"]) { id ... on Representative { supervisor { name } } } }', {}, 9),
    (
        """{ ...Q } fragment Q on Query { representative(reference: "REP-001") { ...R ...R } }
        fragment R on Representative { supervisor { name } }""",
        {},
        2,
    ),
    ('{ representative(reference: "REP-001") { ... on Person { id } ... on Node { id } } }', {}, 1),
    (ENTITIES, {"r": [{"__typename": "Representative", "reference": f"REP-{n:03}"} for n in range(1, 31)]}, 66),
    (ENTITIES, {"r": [{"__typename": "Rep", "repId": 1001}, {"__typename": "Account", "number": "1"}, 7]}, 10),
    (ENTITIES, {"r": [{"__typename": "Department", "departmentId": f"dep-{n:02}"} for n in range(100)]}, 106),
]


def at_worst(text: str, variables: dict[str, Any]) -> int:
    """Return what is said of an operation."""
    (operation,) = Engine(SCHEMA).documents.get(text).operations.values()
    values = get_variable_values(CORE, operation.definition.variable_definitions or (), variables)
    assert not isinstance(values, list)
    return Budget(TABLE, 0).calls(operation, values)


@pytest.mark.parametrize(("text", "variables", "calls"), OPERATIONS)
async def test_it_is_a_bound(gateway_with: MakeGateway, text: str, variables: dict[str, Any], calls: int) -> None:
    """What is said is what is listed here, and what is made is no more."""
    assert at_worst(text, variables) == calls
    gateway = await gateway_with(federation=True)
    await gateway.ask(text, **variables)
    assert len(gateway.calls) <= calls


def test_representations_that_are_not_known_are_as_many_as_there_may_be() -> None:
    """What is said of a router's query before its variables are known is no less than with any of them."""
    (operation,) = Engine(SCHEMA).documents.get(ENTITIES).operations.values()
    assert Budget(TABLE, 0).calls(operation, None) == 2 * MAX_REPRESENTATIONS + 6
    most = [{"__typename": "Representative", "reference": "REP-001"}] * MAX_REPRESENTATIONS
    assert at_worst(ENTITIES, {"r": most}) == 2 * MAX_REPRESENTATIONS + 6


def test_every_field_that_is_listed_exists() -> None:
    """The figures are those of fields that there are."""
    for name in TABLE.fields:
        type_name, field_name = name.split(".")
        assert field_name in CORE.type_map[type_name].fields, name


def test_every_field_that_may_call_is_listed() -> None:
    """A field whose resolver is a coroutine reaches a system, and its calls are known."""
    for type_ in CORE.type_map.values():
        for name, field in getattr(type_, "fields", {}).items():
            resolver = getattr(field.extensions.get("strawberry-definition"), "base_resolver", None)
            if resolver is not None and iscoroutinefunction(resolver.wrapped_func):
                assert f"{type_.name}.{name}" in TABLE.fields


def test_fragments_that_double_are_counted_in_linear_time() -> None:
    """Twenty levels of two supervisors each are a million calls, and are seen to be at once."""
    text = (
        '{ representative(reference: "A") { ...F0 } } '
        + " ".join(
            f"fragment F{n} on Representative {{ supervisor {{ ...F{n + 1} }} s: supervisor {{ ...F{n + 1} }} }}"
            for n in range(7)
        )
        + " fragment F7 on Representative { name }"
    )
    assert at_worst(text, {}) == 2**8 - 1


def test_spreads_that_double_are_counted_in_linear_time() -> None:
    """A fragment counts once in a selection, however often it is spread."""
    text = '{ representative(reference: "A") { ...F0 } } ' + " ".join(
        f"fragment F{n} on Representative {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60)
    )
    assert at_worst(text + " fragment F60 on Representative { supervisor { name } }", {}) == 2


def test_what_mutations_have_asked_anew() -> None:
    """Behind each mutation what is had once for an operation may have to be had again."""
    text = "mutation { %s }" % " ".join(
        f'm{n}: updateRepresentative(reference: "A", input: {{}}) {{ representative {{ assignee {{ email }} }} }}'
        for n in range(3)
    )
    assert at_worst(text, {}) == 3 * (1 + 1 + 4)


async def test_an_operation_beyond_the_bound_is_refused(gateway_with: MakeGateway) -> None:
    """With its figure and the bound, and without a call; with fewer keys the same operation passes."""
    gateway = await gateway_with(max_upstream_calls=10)
    query = "query ($r: [String!]!) { representatives(references: $r) { supervisor { name } } }"
    reply = await gateway.ask(query, r=["REP-001"] * 6)
    assert reply.errors[0]["message"] == "The operation may make 12 upstream calls, and may make at most 10."
    assert reply.errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "data" not in reply.response.json()
    assert gateway.calls == []
    assert (await gateway.ask(query, r=["REP-001"] * 5)).errors == []
