"""From a validated operation to Python source: functions that do for one operation what an executor does for any.

The source reads attributes and calls resolvers in a straight line, field by field; one function goes as deep as
Python lets blocks nest. A field with an `async` resolver begins a function of its own, which completes its value
when it is there. Whatever is not as it mostly is (another class, a null, an exception) calls a method of the `Run`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import strawberry
from graphql import (
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Undefined
from strawberry.schema.schema_converter import CustomGraphQLEnumType

from peoplegraph.engine.positions import Position
from peoplegraph.engine.runtime import Run
from peoplegraph.engine.sites import DEFINITION, Arguments, Site, attribute_chain, strawberry_field
from peoplegraph.engine.writer import Place, Writer

if TYPE_CHECKING:
    from peoplegraph.engine.guard import Denied

MAX_SITES = 5_000
"""The fields of a plan, each counted at every place that it has in the response."""

_MAX_BLOCKS = 14
"""How deep blocks are nested in one function; Python takes 20."""

_INLINED_LEVELS = 2
"""How many levels of selections an object may have to be completed where it is found, without a call."""

_PLAIN = {GraphQLString: "str", GraphQLBoolean: "bool", GraphQLID: "str"}
"""The scalars whose values are as they should be where they are of a class."""

_SCALARS = frozenset({str, int, float, bool})
"""The classes of which a scalar of a schema's own may make something, without more ado."""

Collect = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""Merges the selections of fields for a type, as graphql-core does."""

Function = Callable[[Any, Position | None, Run], Any]


class Declined(Exception):
    """The operation is left to graphql-core; the message says why."""


@dataclass(slots=True)
class Compiled:
    """What came of an operation."""

    source: str
    sites: int
    root_functions: list[Function]
    completers: Mapping[int, Function]


@dataclass(slots=True)
class Compiler:
    """Compiles one operation."""

    schema: strawberry.Schema
    info_class: Callable[..., Any]
    collect: Collect
    denied: "Denied | None" = None
    functions: list[Writer] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)
    completers: dict[int, str] = field(default_factory=dict)
    tables: list[tuple[dict[type, Any], dict[type, str]]] = field(default_factory=list)
    shared: dict[tuple[Any, ...], str] = field(default_factory=dict)
    """The functions that were made already, by what they depend on: fragments lead to the same ones again."""
    sites: int = 0
    variables: int = 0

    def operation(self, root_type: GraphQLObjectType, fields: GroupedFieldSet, *, serially: bool) -> Compiled:
        """Compile the root fields, together or one by one. Raises `Declined`."""
        parts = [{name: details} for name, details in fields.items()] if serially else [dict(fields)]
        roots = []
        for part in parts:
            out = self._function()
            self._object(out, root_type, part, Place("s", "p", None), "d", into="run.data")
            roots.append(out.name)
        source = "\n\n".join("\n".join(function.lines) for function in self.functions)
        self.names |= {"I": self.info_class, "U": Undefined}
        exec(compile(source, "<plan>", "exec"), self.names)  # noqa: S102  # of a document it has names alone
        for table, named in self.tables:
            table |= {kind: self.names[name] for kind, name in named.items()}
        return Compiled(
            source,
            self.sites,
            [self.names[name] for name in roots],
            {index: self.names[name] for index, name in self.completers.items()},
        )

    def _function(self) -> Writer:
        out = Writer(f"f{len(self.functions)}")
        self.functions.append(out)
        return out

    def _name(self, kind: str, value: Any) -> str:
        """Return a name under which the functions find a value."""
        name = f"{kind}{len(self.names)}"
        self.names[name] = value
        return name

    def _variable(self) -> str:
        self.variables += 1
        return f"v{self.variables}"

    def _object(  # noqa: PLR0913  # what goes in, and what comes out
        self,
        out: Writer,
        type_: GraphQLObjectType,
        fields: GroupedFieldSet,
        place: Place,
        target: str,
        *,
        into: str = "",
    ) -> None:
        """Complete an object of a known type: `target` becomes its dict, or the one that is there already."""
        entries: list[tuple[str, str]] = []
        awaited: list[tuple[Site, Place]] = []
        for response_name, details in fields.items():
            name = details[0].node.name.value
            if name == "__typename":
                entries.append((response_name, repr(type_.name)))
                continue
            if name.startswith("__"):
                raise Declined(f"{name} is introspection")
            here = place.below(
                self._variable(),
                f"({place.position}, {response_name!r}, {type_.name!r})",
                nullable=not is_non_null_type(type_.fields[name].type),
            )
            site = self._site(type_, response_name, details, here.null_up)
            need = self.denied.need(site.definition) if self.denied else None
            if need is not None:
                with out.block("try:", nests=True):
                    out(f"raise {self._name('D', self.denied)}.error({str(need)!r})")
                self._except(out, site, here, nullable=site.is_nullable)
                entries.append((response_name, here.value))
                continue
            if self._is_async(site):
                awaited.append((site, here))
                entries.append((response_name, "None"))
                continue
            with out.block("try:", nests=True):
                out(f"{here.value} = {self._call(site, place.value, here.position)}")
                self._complete(out, site.definition.type, site, here)
            self._except(out, site, here, nullable=site.is_nullable)
            entries.append((response_name, here.value))
        if into:
            out(f"{target} = {into}")
            for name, value in entries:
                out(f"{target}[{name!r}] = {value}")
        else:
            out(f"{target} = {{{', '.join(f'{name!r}: {value}' for name, value in entries)}}}")
        for site, here in awaited:  # behind the others: where one of those fails, nobody need be asked
            self._completer(site, here)
            with out.block("try:", nests=True):
                call = self._call(site, place.value, here.position)
                out(f"run.spawn({call}, {target}, {self._name('S', site)}, {here.position})")
            self._except(out, site, here, nullable=site.is_nullable)

    def _site(
        self, type_: GraphQLObjectType, response_name: str, details: FieldDetailsList, null_up: int | None
    ) -> Site:
        """Return what is known of a field."""
        if self.sites >= MAX_SITES:
            raise Declined(f"more than {MAX_SITES} fields")
        definition = type_.fields[details[0].node.name.value]
        plain = strawberry_field(definition, self.schema.config)
        if plain is not None and _handles_exceptions(self.schema, plain):
            plain = None
        self.sites += 1
        return Site(self.sites - 1, response_name, details, definition, type_, null_up, plain)

    def _is_async(self, site: Site) -> bool:
        if site.field is None:
            return iscoroutinefunction(site.definition.resolve)
        return site.field.base_resolver is not None and iscoroutinefunction(site.field.base_resolver.wrapped_func)

    def _completer(self, site: Site, place: Place) -> None:
        """See to the function that completes an awaited value."""
        key = ("completer", site.parent_type.name, *map(id, site.nodes), place.null_up)
        if key not in self.shared:
            out = self._function()
            self.shared[key] = out.name
            self._complete(out, site.definition.type, site, replace(place, value="s", position="p"))
            out("return s")
        self.completers[site.index] = self.shared[key]

    def _object_function(self, type_: GraphQLObjectType, site: Site, fields: GroupedFieldSet, place: Place) -> str:
        """Return the name of the function that completes an object of a known type."""
        key = ("object", type_.name, *map(id, site.nodes), place.null_up)
        if key not in self.shared:
            out = self._function()
            self.shared[key] = out.name
            self._object(out, type_, fields, replace(place, value="s", position="p"), "d")
            out("return d")
        return self.shared[key]

    def _except(self, out: Writer, site: Site, place: Place, *, nullable: bool) -> None:
        name = self._name("S", site)
        with out.block("except Exception as error:"):
            if nullable:
                out(f"{place.value} = None")
                out(f"run.error(error, {name}, {place.position})")
            else:
                out(f"raise run.located(error, {name}, {place.position})")

    def _call(self, site: Site, source: str, here: str) -> str:
        """Return the expression that a field's value is to be had by."""
        field = site.field
        if field is None:
            return f"run.resolve({source}, {self._name('S', site)}, {here})"
        if field.base_resolver is None:
            return f"{source}.{field.python_name}"
        resolver = field.base_resolver
        chain = attribute_chain(resolver.wrapped_func) if resolver.self_parameter else None
        if chain is not None:
            return ".".join([source, *chain])
        given = [source] if resolver.self_parameter else []
        parents = {p.name for p in (resolver.parent_parameter, resolver.root_parameter) if p is not None}
        given += [f"{name}={source}" for name in sorted(parents)]
        if resolver.info_parameter is not None:
            given.append(f"{resolver.info_parameter.name}=I(run, {self._name('S', site)}, {here})")
        if field.arguments:
            given.append(f"**{self._name('A', Arguments(site, self.schema))}(run, {here})")
        return f"{self._name('R', resolver.wrapped_func)}({', '.join(given)})"

    def _complete(self, out: Writer, type_: GraphQLOutputType, site: Site, place: Place) -> None:
        """Complete the value in a variable, in that variable."""
        inner: Any = type_.of_type if is_non_null_type(type_) else type_
        if is_leaf_type(inner):
            self._leaf(out, type_, inner, site, place)
        else:
            with out.block(f"if {place.value} is not None:"):
                if out.blocks > _MAX_BLOCKS:
                    self._outlined(out, type_, site, place)
                elif is_list_type(inner):
                    self._list(out, type_, inner, site, place)
                elif is_abstract_type(inner):
                    self._abstract(out, type_, inner, site, place)
                else:
                    self._checked_object(out, type_, inner, site, place)
        if inner is not type_:
            with out.block(f"if {place.value} is None:"):
                out(f"raise run.null({self._name('S', site)})")

    def _outlined(self, out: Writer, type_: Any, site: Site, place: Place) -> None:
        """Complete a value in a function of its own, since blocks nest no deeper."""
        inner = self._function()
        self._complete(inner, type_, site, replace(place, value="s", position="p"))
        inner("return s")
        out(f"{place.value} = {inner.name}({place.value}, {place.position}, run)")

    def _slow(self, method: str, type_: Any, site: Site, place: Place) -> str:
        """Return the call of a run's method that completes what is not as it mostly is, as the type declared."""
        return f"run.{method}({place.value}, {self._name('T', type_)}, {self._name('S', site)}, {place.position})"

    def _leaf(self, out: Writer, declared: Any, type_: Any, site: Site, place: Place) -> None:
        value = place.value
        slow = f"{value} = {self._slow('leaf', declared, site, place)}"
        if type_ in _PLAIN:
            with out.block(f"if {value}.__class__ is not {_PLAIN[type_]} and {value} is not None:"):
                out(slow)
            return
        change = "pass"
        if type_ is GraphQLInt:
            quick = f"{value}.__class__ is int and -2147483648 <= {value} <= 2147483647"
        elif type_ is GraphQLFloat:
            quick = f"{value}.__class__ is float and {value} - {value} == 0.0"  # neither infinite nor NaN
        elif isinstance(type_, CustomGraphQLEnumType):
            enum: Any = type_.wrapped_cls
            members = {member: type_.coerce_output_value(member) for member in enum}
            quick = f"{value}.__class__ is {self._name('C', enum)}"
            change = (
                f"{value} = {self._name('M', members)}.get({value}) or {self._slow('leaf', declared, site, place)}"
            )
        else:
            quick = f"{value}.__class__ in {self._name('C', _SCALARS)}"
            coerced = self._variable()
            with out.block(f"if {quick}:"):
                out(f"{coerced} = {self._name('K', type_.coerce_output_value)}({value})")
                with out.block(f"if {coerced} is None or {coerced} is U:"):
                    out(f"{coerced} = {self._slow('leaf', declared, site, place)}")  # it says what is wrong
                out(f"{value} = {coerced}")
            with out.block(f"elif {value} is not None:"):
                out(slow)
            return
        with out.block(f"if {quick}:"):
            out(change)
        with out.block(f"elif {value} is not None:"):
            out(slow)

    def _list(self, out: Writer, declared: Any, type_: GraphQLList[Any], site: Site, place: Place) -> None:
        item_type, value = type_.of_type, place.value
        nullable = not is_non_null_type(item_type)
        with out.block(f"if {value}.__class__ is not list:"):
            out(f"{value} = {self._slow('items', declared, site, place)}")
        with out.block(f"if {value}.__class__ is list:"):
            index, items = self._variable(), self._variable()
            item = place.below(self._variable(), f"({place.position}, {index}, None)", nullable=nullable)
            out(f"{items} = []")
            with out.block(f"for {index}, {item.value} in enumerate({value}):", nests=True):
                with out.block("try:", nests=True):
                    self._complete(out, item_type, site, item)
                self._except(out, site, item, nullable=nullable)
                out(f"{items}.append({item.value})")
            out(f"{value} = {items}")

    def _checked_object(
        self, out: Writer, declared: Any, type_: GraphQLObjectType, site: Site, place: Place
    ) -> None:
        classes, stand_in = self._name("C", _classes(type_)), self._variable()
        out(f"{stand_in} = None")
        with out.block(f"if {place.value}.__class__ not in {classes}:"):
            out(f"{stand_in} = {self._slow('checked', declared, site, place)[:-1]}, {classes})")
        fields = self.collect(type_, site.details)
        with out.block(f"if {stand_in} is None:"):
            if _is_small(fields):
                self._object(out, type_, fields, place, stand_in)
            else:
                name = self._object_function(type_, site, fields, place)
                out(f"{stand_in} = {name}({place.value}, {place.position}, run)")
        out(f"{place.value} = {stand_in}")

    def _abstract(self, out: Writer, declared: Any, type_: GraphQLAbstractType, site: Site, place: Place) -> None:
        possible_types = self.schema._schema.get_possible_types(type_)  # noqa: SLF001  # see plan.py
        named: dict[type, str] = {}
        if all(_tells_by_class(each) for each in (type_, *possible_types)):
            for possible in possible_types:
                fields = self.collect(possible, site.details)
                named |= dict.fromkeys(_classes(possible), self._object_function(possible, site, fields, place))
        table: dict[type, Any] = {}
        self.tables.append((table, named))
        found = self._variable()
        out(f"{found} = {self._name('D', table)}.get({place.value}.__class__)")
        with out.block(f"if {found} is not None:"):
            out(f"{place.value} = {found}({place.value}, {place.position}, run)")
        with out.block("else:"):
            out(f"{place.value} = {self._slow('abstract', declared, site, place)}")


def _is_small(fields: GroupedFieldSet) -> bool:
    """Whether the selections are few levels deep, as they stand: what is in fragments may be used often."""
    nodes: list[Any] = [detail.node for details in fields.values() for detail in details]
    for _ in range(_INLINED_LEVELS):
        nodes = [
            inner for node in nodes if node.selection_set is not None for inner in node.selection_set.selections
        ]
        if not nodes:
            return True
        if any(isinstance(node, FragmentSpreadNode) for node in nodes):
            return False
    return False


def _classes(type_: GraphQLObjectType) -> set[type]:
    """Return the classes whose objects are of a type for certain."""
    definition: Any = type_.extensions.get(DEFINITION)
    if definition is None or definition.is_type_of or definition.concrete_of:
        return set()
    if issubclass(definition.origin, Exception):  # returned, one is the field's error
        return set()
    return {definition.origin}


def _tells_by_class(type_: GraphQLObjectType | GraphQLAbstractType) -> bool:
    """Whether no function of the schema's own says what is of a type."""
    definition: Any = type_.extensions.get(DEFINITION)
    return definition is not None and not (
        getattr(definition, "is_type_of", None) or getattr(definition, "resolve_type", None)
    )


def _handles_exceptions(schema: strawberry.Schema, field: Any) -> bool:
    return bool(schema.schema_converter._get_field_exception_handlers(field))  # noqa: SLF001
