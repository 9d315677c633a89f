"""Which upstream calls an operation makes at worst: from its arguments, and from what is known of batching."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    get_argument_values,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_list_type,
    is_object_type,
    type_from_ast,
)
from graphql.execution.values import VariableValues

from peoplegraph.engine import Operation
from peoplegraph.graph.paging import DEFAULT_FIRST, MAX_FIRST
from peoplegraph.observe import metrics
from peoplegraph.upstream.call import Endpoint

UPSTREAM_PAGE = 100


Choice = Endpoint | tuple[Endpoint, ...]
"""A call to an endpoint, or to one of several."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one field, at worst. A field that is not listed makes none."""

    each: Sequence[Choice] = ()
    """For each value that the field is asked of, one after the other."""
    per: str | None = None
    """The argument by whose entries `each` counts."""
    counts: Callable[[Any], bool] = lambda _: True
    """Whether an entry counts."""
    most: int = MAX_FIRST
    """How many entries there may be."""
    pages: bool = False
    """Whether `first` is had in the vendor's pages, with one page more to know whether that is all."""
    shared: Sequence[str] = ()
    """What is called once for the whole operation, however often it is asked for, by name."""
    items: int | str = 1
    """How many values there are in the field's list; or the argument that says so."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What is called once for a whole operation, at worst."""

    calls: Sequence[Choice]
    how: str
    """Says of these calls why they are so few."""


@dataclass(frozen=True, slots=True)
class CallTable:
    """What is known of the calls of all fields."""

    fields: Mapping[str, Calls]
    """By `Type.field`."""
    shared: Mapping[str, Shared]


NO_CALLS = Calls()

BY_EMAIL = Calls(shared=["look-ups of assignees"])
"""A look-up by email address; who is found so are assignees."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one field of an operation comes to, without what is selected of it."""

    calls: Calls
    times: int
    """How often each of the calls is made, for one value that the field is asked of."""
    items: int
    """How many values the field has, at most."""
    first: int
    """The length of the page that its values are in."""
    type: Any
    """What its values are."""


@dataclass(frozen=True, slots=True)
class _Sum:
    each: int
    shared: frozenset[str]


_NOTHING = _Sum(0, frozenset())


class Budget:
    """Refuses operations that may make more calls than there may be."""

    def __init__(self, table: CallTable, most: int) -> None:
        self._table = table
        self._most = most

    def check(self, operation: Operation, variables: VariableValues) -> list[GraphQLError]:
        """Return an error if an operation passes the bound. Variables are looked at only where they matter."""
        bound: int | None = operation.notes.get(self)
        if bound is None:
            bound = operation.notes[self] = self.calls(operation, None)
        if bound > self._most:
            bound = self.calls(operation, variables)
        if bound <= self._most:
            return []
        metrics.limits("upstream_calls").inc()
        message = f"The operation may make {bound:,} upstream calls, and may make at most {self._most:,}."
        return [GraphQLError(message, operation.definition)]

    def calls(self, operation: Operation, variables: VariableValues | None) -> int:
        """Return the calls at worst: with these variables, or with any."""
        root = operation.core.get_root_type(operation.definition.operation)
        if root is None:
            return 0
        walk = Walk(self._table, operation, variables)
        if operation.is_mutation:  # each root field may make the next one ask anew
            return sum(self._total(each) for each in walk.sums(root, [operation.definition], 1))
        return self._total(walk.of(root, [operation.definition], 1))

    def _total(self, sum_: _Sum) -> int:
        return sum_.each + sum(len(self._table.shared[name].calls) for name in sum_.shared)


class Walk:
    """A way through an operation; what a selection comes to is worked out once, however often it is met."""

    def __init__(self, table: CallTable, operation: Operation, variables: VariableValues | None) -> None:
        self._schema: GraphQLSchema = operation.core
        self._calls = table.fields
        self._fragments = operation.fragments
        self._variables = variables
        self._known: dict[tuple[Any, ...], _Sum] = {}

    def of(self, type_: GraphQLObjectType, parents: list[Any], first: int) -> _Sum:
        """Return the calls of what is selected of an object; `first` is the length of the page that it is in."""
        key = (type_.name, first, *map(id, parents))
        known = self._known.get(key)
        if known is None:
            self._known[key] = _NOTHING
            known = self._known[key] = _added(self.sums(type_, parents, first))
        return known

    def sums(self, type_: GraphQLObjectType, parents: list[Any], first: int) -> Iterator[_Sum]:
        """Yield the calls of each field."""
        yield from (self._field(type_, nodes, first) for nodes in self.fields(type_, parents).values())

    def fields(self, type_: GraphQLObjectType, parents: list[Any]) -> Mapping[str, list[FieldNode]]:
        """Return the fields that are selected of a type, by the names that their values have in the answer."""
        fields: dict[str, list[FieldNode]] = {}
        entered: set[str] = set()
        for parent in parents:
            for node in self._selected(type_, parent, entered):
                fields.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return fields

    def _selected(self, type_: GraphQLObjectType, parent: Any, entered: set[str]) -> Iterator[FieldNode]:
        """Yield the fields that are selected of a type, each fragment entered once."""
        for node in parent.selection_set.selections if parent.selection_set else ():
            if isinstance(node, FieldNode):
                yield node
                continue
            inner = node
            if isinstance(node, FragmentSpreadNode):
                if node.name.value in entered:
                    continue
                entered.add(node.name.value)
                inner = self._fragments[node.name.value].definition
            condition = inner.type_condition and type_from_ast(self._schema, inner.type_condition)
            if (
                condition is None
                or condition is type_
                or (is_abstract_type(condition) and self._schema.is_sub_type(condition, type_))
            ):
                yield from self._selected(type_, inner, entered)

    def cost(self, type_: GraphQLObjectType, nodes: list[FieldNode], first: int) -> Cost | None:
        """Return what a field comes to by itself; None for one that is of the schema, or fails."""
        name = nodes[0].name.value
        definition = type_.fields.get(name)
        if definition is None:  # introspection
            return None
        given: Mapping[str, Any] | None = None
        if self._variables is not None:
            try:
                given = get_argument_values(definition, nodes[0], self._variables)
            except GraphQLError:  # the field fails, and makes no call
                return None
        calls = self._calls.get(f"{type_.name}.{name}", NO_CALLS)
        if "first" in definition.args:
            first = _size("first", given, MAX_FIRST)
        times = _size(calls.per, given, calls.most, calls.counts) if calls.per else 1
        if calls.pages:
            times *= math.ceil(first / UPSTREAM_PAGE) + 1
        items = 1
        if is_list_type(get_nullable_type(definition.type)):
            items = _size(calls.items, given, calls.most) if isinstance(calls.items, str) else calls.items
            items *= first if name in ("nodes", "edges") else 1
        return Cost(calls, times, items, first, get_named_type(definition.type))

    def possible(self, type_: Any) -> Sequence[GraphQLObjectType]:
        """Return the types that a value of a type may be of."""
        if is_abstract_type(type_):
            return self._schema.get_possible_types(type_)
        return [type_] if is_object_type(type_) else []

    def _field(self, type_: GraphQLObjectType, nodes: list[FieldNode], first: int) -> _Sum:
        cost = self.cost(type_, nodes, first)
        if cost is None:
            return _NOTHING
        below = [self.of(possible, nodes, cost.first) for possible in self.possible(cost.type)]
        each = len(cost.calls.each) * cost.times + cost.items * max((sum_.each for sum_ in below), default=0)
        return _Sum(each, frozenset(cost.calls.shared).union(*(sum_.shared for sum_ in below)))


def _added(sums: Iterator[_Sum]) -> _Sum:
    each = 0
    shared: set[str] = set()
    for sum_ in sums:
        each += sum_.each
        shared |= sum_.shared
    return _Sum(each, frozenset(shared))


def _size(
    argument: str, given: Mapping[str, Any] | None, most: int, counts: Callable[[Any], bool] = lambda _: True
) -> int:
    """Return how many an argument asks for: the most that there may be where it is not known."""
    if given is None:
        return most
    value = given.get(argument)
    if isinstance(value, list):
        return sum(map(counts, value))
    return max(value, 0) if isinstance(value, int) else DEFAULT_FIRST
