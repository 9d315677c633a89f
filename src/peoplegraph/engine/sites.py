"""What is known of a field of an operation before it runs: where it is, how it is resolved, what it is given."""

import dis
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import strawberry
from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    VariableNode,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import coerce_argument, get_argument_values
from strawberry.relay import GlobalID
from strawberry.schema.compat import is_scalar
from strawberry.schema.config import StrawberryConfig
from strawberry.types.arguments import convert_arguments
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

_IMMUTABLE = (str, int, float, bool)
"""The scalars of which all calls may be given the same value; one of a schema's own may be anything."""

DEFINITION = "strawberry-definition"
"""The extension in which Strawberry leaves its own definition of a type or a field."""

_LOADS_FIRST_ARGUMENT = {"LOAD_FAST", "LOAD_FAST_BORROW"}
_SILENT = {"RESUME", "NOP", "CACHE"}


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One field at one place of an operation, all the selections of it that were merged included."""

    index: int
    response_name: str
    details: FieldDetailsList
    definition: GraphQLField
    parent_type: GraphQLObjectType
    null_up: int | None
    """How many keys up there is a position that may be null, 0 being this one; None is the whole response."""
    field: StrawberryField | None
    """None where the field is resolved by the function that graphql-core would call."""

    @property
    def nodes(self) -> list[FieldNode]:
        """The field's nodes, one for each selection of it."""
        return [detail.node for detail in self.details]

    @property
    def is_nullable(self) -> bool:
        """Whether the field may be null."""
        return not is_non_null_type(self.definition.type)

    @property
    def name(self) -> str:
        """The field's name as an error message has it."""
        return f"{self.parent_type.name}.{self.details[0].node.name.value}"


def strawberry_field(definition: GraphQLField, config: StrawberryConfig) -> StrawberryField | None:
    """Return the Strawberry field, if nothing happens to it but a call of its resolver or an attribute read."""
    field = definition.extensions.get(DEFINITION)
    plain = (
        isinstance(field, StrawberryField)
        and not field.extensions
        and type(field).get_result is StrawberryField.get_result
        and (field.base_resolver is not None or config.default_resolver is getattr)
    )
    return field if plain else None


def attribute_chain(function: Any) -> tuple[str, ...] | None:
    """Return the attributes in the body of a function that does nothing but `return self.a.b`, and None of others.

    A call costs as much as two attributes. Python's own instructions tell; what they do not tell is called.
    """
    if not isinstance(function, FunctionType):
        return None
    code = function.__code__
    if code.co_argcount != 1 or code.co_kwonlyargcount or code.co_flags & inspect.CO_VARKEYWORDS:
        return None
    if code.co_flags & (
        inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR | inspect.CO_VARARGS
    ):
        return None
    steps = [step for step in dis.get_instructions(code) if step.opname not in _SILENT]
    names = [step.argval for step in steps[1:-1]]
    if (
        len(steps) >= 3
        and steps[0].opname in _LOADS_FIRST_ARGUMENT
        and steps[0].argval == code.co_varnames[0]
        and all(step.opname == "LOAD_ATTR" for step in steps[1:-1])
        and steps[-1].opname == "RETURN_VALUE"
        and all(isinstance(name, str) for name in names)
    ):
        return tuple(names)
    return None


class Arguments:
    """The keyword arguments of a resolver, worked out once for each run where that is all the same."""

    def __init__(self, site: Site, schema: strawberry.Schema) -> None:
        assert site.field is not None  # noqa: S101  # only such sites have arguments of Strawberry's
        self._site = site
        self._arguments = site.field.arguments
        self._config = schema.config
        self._registry = schema.schema_converter.scalar_registry
        self._names = {self._config.name_converter.from_argument(a): str(a.python_name) for a in self._arguments}
        lists = [_is_list(a.type, self._registry) for a in self._arguments]
        self._has_lists = any(lists)
        self._shared = all(
            is_list or _is_shared(a.type, self._registry) for a, is_list in zip(self._arguments, lists, strict=True)
        )
        self._quick = self._quick_sources() if self._shared else None

    def __call__(self, run: Any, path: Any) -> Mapping[str, Any]:
        """Return the arguments of a call in `run`; raises what graphql-core would for those that cannot be had."""
        if not self._shared:
            return self._converted(run, path)
        kept: Mapping[str, Any] | None = run.arguments[self._site.index]
        if kept is None:
            kept = self._quickly(run.variables) if self._quick is not None else None
            if kept is None:
                kept = self._converted(run, path)
            run.arguments[self._site.index] = kept
        if self._has_lists:  # a call may change its own
            return {name: list(v) if v.__class__ is list else v for name, v in kept.items()}
        return kept

    def _raw(self, run: Any) -> dict[str, Any]:
        detail = self._site.details[0]
        return get_argument_values(
            self._site.definition, detail.node, run.variable_values, detail.fragment_variable_values
        )

    def _converted(self, run: Any, path: Any) -> dict[str, Any]:
        return convert_arguments(
            self._raw(run),
            self._arguments,
            scalar_registry=self._registry,
            config=self._config,
            info=run.info(self._site, path),
        )

    def _quick_sources(self) -> list[tuple[str, str | None, Any]] | None:
        """Return each argument's Python name, and its variable or else its value; None if it is not so simple."""
        detail = self._site.details[0]
        given = {argument.name.value: argument for argument in detail.node.arguments or ()}
        sources: list[tuple[str, str | None, Any]] = []
        for name, definition in self._site.definition.args.items():
            node = given.get(name)
            if node is not None and isinstance(node.value, VariableNode):
                sources.append((self._names[name], node.value.name.value, None))
                continue
            if node is not None and _has_variables(node.value):
                return None
            constant: dict[str, Any] = {}
            try:
                coerce_argument(constant, detail.node, name, definition, node, None, None, hide_suggestions=True)
            except Exception:  # noqa: BLE001  # it is raised again when the field is called
                return None
            if name in constant:
                sources.append((self._names[name], None, constant[name]))
        return sources

    def _quickly(self, variables: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the arguments; None where a variable is absent or null, which depends on more."""
        found: dict[str, Any] = {}
        for name, variable, constant in self._quick or ():
            value = constant if variable is None else variables.get(variable)
            if value is None and variable is not None:
                return None
            found[name] = value
        return found


def _has_variables(node: Any) -> bool:
    if isinstance(node, VariableNode):
        return True
    children = getattr(node, "values", None) or [field.value for field in getattr(node, "fields", None) or ()]
    return any(_has_variables(child) for child in children)


def _is_list(type_: Any, registry: Any) -> bool:
    """Whether it is a list of what all calls may be given, so that a copy of the list will do."""
    if isinstance(type_, StrawberryOptional):
        return not isinstance(type_, StrawberryMaybe) and _is_list(type_.of_type, registry)
    return isinstance(type_, StrawberryList) and _is_shared(type_.of_type, registry)


def _is_shared(type_: Any, registry: Any) -> bool:
    """Whether all calls may be given the same value: none of them can change it, and it needs no conversion."""
    if isinstance(type_, StrawberryMaybe):
        return False
    if isinstance(type_, StrawberryOptional):
        return _is_shared(type_.of_type, registry)
    if isinstance(type_, StrawberryList) or type_ is GlobalID:
        return False
    return isinstance(type_, StrawberryEnumDefinition) or (
        is_scalar(type_, registry) and (type_ in _IMMUTABLE or type_ is strawberry.ID)
    )
