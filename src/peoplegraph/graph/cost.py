"""How many upstream calls an operation makes at worst: from its arguments, and from what is known of batching."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationType,
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

UPSTREAM_PAGE = 100


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one field, at worst. A field with an `async` resolver that is not listed makes one."""

    each: int = 1
    """For each value that the field is asked of."""
    per: str | None = None
    """The argument by whose entries `each` counts."""
    pages: bool = False
    """Whether `first` is had in the vendor's pages, with one page more to know whether that is all."""
    once: Mapping[str, int] = field(default_factory=dict)
    """What is called for the whole operation, however often it is asked for: what it is, and how many calls."""
    items: int | str = 1
    """How many values there are in the field's list; or the argument that says so."""


NO_CALLS = Calls(0)

BY_EMAIL = Calls(0, once={"by email": 4})
"""A look-up by email address: three single calls, and from the fourth on a list that has everybody."""

_CALL = Calls()


@dataclass(frozen=True, slots=True)
class _Sum:
    each: int
    once: Mapping[str, int]

    @property
    def total(self) -> int:
        return self.each + sum(self.once.values())


class Budget:
    """Refuses operations that may make more calls than there may be."""

    def __init__(self, calls: Mapping[str, Calls], most: int) -> None:
        self._calls = calls
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
        message = f"The operation may make {bound:,} upstream calls, and may make at most {self._most:,}."
        return [GraphQLError(message, operation.definition)]

    def calls(self, operation: Operation, variables: VariableValues | None) -> int:
        """Return the calls at worst: with these variables, or with any."""
        root = operation.core.get_root_type(operation.definition.operation)
        if root is None:
            return 0
        walk = _Walk(self._calls, operation, variables)
        if (
            operation.definition.operation is OperationType.MUTATION
        ):  # each root field may make the next one ask anew
            return sum(each.total for each in walk.fields(root, [operation.definition], 1))
        return walk.of(root, [operation.definition], 1).total


class _Walk:
    """One count; what a selection comes to is worked out once, wherever fragments lead to it again."""

    def __init__(self, calls: Mapping[str, Calls], operation: Operation, variables: VariableValues | None) -> None:
        self._schema: GraphQLSchema = operation.core
        self._calls = calls
        self._fragments = operation.fragments
        self._variables = variables
        self._known: dict[tuple[Any, ...], _Sum] = {}

    def of(self, type_: GraphQLObjectType, parents: list[Any], first: int) -> _Sum:
        """Return the calls of what is selected of an object; `first` is the length of the page that it is in."""
        key = (type_.name, first, *map(id, parents))
        known = self._known.get(key)
        if known is None:
            self._known[key] = _Sum(0, {})
            known = self._known[key] = _added(self.fields(type_, parents, first))
        return known

    def fields(self, type_: GraphQLObjectType, parents: list[Any], first: int) -> Iterator[_Sum]:
        """Yield the calls of each field."""
        fields: dict[str, list[FieldNode]] = {}
        entered: set[str] = set()
        for parent in parents:
            for node in self._selected(type_, parent, entered):
                fields.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        yield from (self._field(type_, nodes, first) for nodes in fields.values())

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

    def _field(self, type_: GraphQLObjectType, nodes: list[FieldNode], first: int) -> _Sum:
        name = nodes[0].name.value
        definition = type_.fields.get(name)
        if definition is None:  # introspection
            return _Sum(0, {})
        given: Mapping[str, Any] | None = None
        if self._variables is not None:
            try:
                given = get_argument_values(definition, nodes[0], self._variables)
            except GraphQLError:  # the field fails, and makes no call
                return _Sum(0, {})
        spec = self._calls.get(f"{type_.name}.{name}")
        if spec is None:
            spec = _CALL if _is_async(definition) else NO_CALLS
        if "first" in definition.args:
            first = _size("first", given)
        each = spec.each * (_size(spec.per, given) if spec.per else 1)
        if spec.pages:
            each *= math.ceil(first / UPSTREAM_PAGE) + 1
        times = 1
        if is_list_type(get_nullable_type(definition.type)):
            times = _size(spec.items, given) if isinstance(spec.items, str) else spec.items
            times *= first if name in ("nodes", "edges") else 1
        below = self._below(definition.type, nodes, first)
        return _Sum(each + times * below.each, {**below.once, **spec.once})

    def _below(self, field_type: Any, nodes: list[FieldNode], first: int) -> _Sum:
        named = get_named_type(field_type)
        if is_object_type(named):
            return self.of(named, nodes, first)
        if not is_abstract_type(named):
            return _Sum(0, {})
        sums = [self.of(possible, nodes, first) for possible in self._schema.get_possible_types(named)]
        once = {name: count for each in sums for name, count in each.once.items()}
        return _Sum(max((each.each for each in sums), default=0), once)


def _added(sums: Iterator[_Sum]) -> _Sum:
    each = 0
    once: dict[str, int] = {}
    for one in sums:
        each += one.each
        once |= one.once
    return _Sum(each, once)


def _size(argument: str, given: Mapping[str, Any] | None) -> int:
    """Return how many an argument asks for: the most that there may be where it is not known."""
    if given is None:
        return MAX_FIRST
    value = given.get(argument)
    if isinstance(value, list):
        return len(value)
    return max(value, 0) if isinstance(value, int) else DEFAULT_FIRST


def _is_async(definition: Any) -> bool:
    resolver = getattr(definition.extensions.get("strawberry-definition"), "base_resolver", None)
    return resolver is not None and iscoroutinefunction(resolver.wrapped_func)
