"""Recorded operations, and which of them a change of the schema hits."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    is_abstract_type,
    parse,
    print_ast,
    separate_operations,
    type_from_ast,
    validate,
    visit,
)

from peoplegraph.access.documents import parse_manifest
from peoplegraph.access.trust import files_in, read_texts
from peoplegraph.commands.changes import Change


class RecordedError(Exception):
    """A file has no operations that can be read."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An operation with the fragments that it spreads; `label` is its name and its file."""

    label: str
    document: DocumentNode


@dataclass(frozen=True, slots=True)
class Findings:
    """What changes mean for recorded operations.

    `hit` has the labels of the operations that each change hits; `broken` what is wrong with those that were valid
    and are not any more; `unknown` those that were not valid before, and are not looked at.
    """

    hit: Mapping[Change, tuple[str, ...]]
    broken: Mapping[str, str]
    unknown: tuple[str, ...]


def read_operations(paths: Iterable[Path]) -> list[Recorded]:
    """Read the operations in GraphQL files, in folders of them, and in manifests; fragments may be in another file.

    A path is an application: its names mean nothing in another's. Raises `OSError`, `TrustError` for what is not
    UTF-8, and `RecordedError`.
    """
    found: list[Recorded] = []
    for path in paths:
        texts = read_texts(files_in([path]))
        documents = [(file, each) for file, text in texts.items() for each in _documents(file, text)]
        pool = _pool(document for _, document in documents)
        found += [recorded for file, document in documents for recorded in _operations(file, document, pool)]
    if not found:
        raise RecordedError("there is no operation in these files")
    return found


def find_hits(
    changes: Iterable[Change], operations: Iterable[Recorded], old: GraphQLSchema, new: GraphQLSchema
) -> Findings:
    """Return which changes hit which operations: those that use the place of the change."""
    hit: dict[Change, list[str]] = {change: [] for change in changes}
    broken: dict[str, str] = {}
    unknown: list[str] = []
    for operation in operations:
        if validate(old, operation.document):
            unknown.append(operation.label)
            continue
        errors = validate(new, operation.document)
        if errors:
            broken[operation.label] = errors[0].message
        used = uses(operation.document, old)
        for change, labels in hit.items():
            if not change.place or change.place in used:
                labels.append(operation.label)
    return Findings({change: tuple(labels) for change, labels in hit.items()}, broken, tuple(unknown))


def uses(document: DocumentNode, schema: GraphQLSchema) -> set[str]:
    """Return the coordinates that a valid document uses.

    What is asked of an interface is asked of each type behind it, and a variable may bring all that its type has.
    """
    info = TypeInfo(schema)
    collected = _Uses(schema, info)
    visit(document, TypeInfoVisitor(info, collected))
    return collected.found


class _Uses(Visitor):
    """Collects what is used while a document is visited."""

    def __init__(self, schema: GraphQLSchema, info: TypeInfo) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._schema = schema
        self._info = info
        self._field = ""
        self._whole: set[str] = set()

    def enter_field(self, node: Any, *_: Any) -> None:
        self._field = node.name.value
        for owner in self._owners():
            self.found |= {owner, f"{owner}.{self._field}"}
        self._add_all_of(self._info.get_type())

    def enter_argument(self, node: Any, *_: Any) -> None:
        if self._info.get_directive() is None:
            self.found |= {f"{owner}.{self._field}({node.name.value}:)" for owner in self._owners()}
        self._add(self._info.get_input_type())

    def enter_object_field(self, node: Any, *_: Any) -> None:
        self.found.add(f"{get_named_type(self._info.get_parent_input_type())}.{node.name.value}")
        self._add(self._info.get_input_type())

    def enter_enum_value(self, node: Any, *_: Any) -> None:
        self.found.add(f"{get_named_type(self._info.get_input_type())}.{node.value}")

    def enter_variable_definition(self, node: Any, *_: Any) -> None:
        self._add_all_of(type_from_ast(self._schema, node.type))

    def enter_directive(self, node: Any, *_: Any) -> None:
        self.found.add(f"@{node.name.value}")

    def _owners(self) -> list[str]:
        """Return the type that a field is asked of, and those behind it."""
        owner = self._info.get_parent_type()
        behind = self._schema.get_possible_types(owner) if is_abstract_type(owner) else ()
        return [kind.name for kind in (owner, *behind) if kind is not None]

    def _add(self, kind: Any) -> None:
        self.found.add(str(get_named_type(kind)))

    def _add_all_of(self, kind: Any) -> None:
        """Add a type with its values, and with all that may be within a value of it."""
        named: Any = get_named_type(kind)
        if isinstance(named, GraphQLEnumType):
            self.found |= {f"{named}.{value}" for value in named.values}
        if isinstance(named, GraphQLInputObjectType) and named.name not in self._whole:
            self._whole.add(named.name)
            for name, field in named.fields.items():
                self.found.add(f"{named}.{name}")
                self._add_all_of(field.type)
        self._add(named)


def _documents(path: Path, text: str) -> Iterator[DocumentNode]:
    """Yield the documents in a file: itself, or each of a manifest."""
    texts: Iterable[str] = [text]
    try:
        if path.suffix == ".json":
            texts = parse_manifest(json.loads(text)).values()
        for each in texts:
            yield parse(each)
    except GraphQLError as error:
        line = f":{error.locations[0].line}" if error.locations and path.suffix != ".json" else ""
        raise RecordedError(f"{path}{line}: {error.message}") from None
    except RecursionError:
        raise RecordedError(f"{path}: it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise RecordedError(f"{path}: it is not JSON: {error}") from None
    except ValueError as error:
        raise RecordedError(f"{path}: {error}") from None


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}


def _pool(documents: Iterable[DocumentNode]) -> dict[str, FragmentDefinitionNode]:
    """Return the fragments of all documents; of two that differ and have one name nobody knows which is meant."""
    pool: dict[str, FragmentDefinitionNode] = {}
    ambiguous: set[str] = set()
    for document in documents:
        for name, each in _fragments(document).items():
            if print_ast(pool.setdefault(name, each)) != print_ast(each):
                ambiguous.add(name)
    return {name: each for name, each in pool.items() if name not in ambiguous}


def _operations(
    path: Path, document: DocumentNode, pool: Mapping[str, FragmentDefinitionNode]
) -> Iterator[Recorded]:
    """Yield the operations of a document; its own fragments go before those of other files."""
    fragments = {**pool, **_fragments(document)}
    for each in document.definitions:
        if isinstance(each, OperationDefinitionNode):
            name = each.name.value if each.name else ""
            alone = separate_operations(DocumentNode(definitions=(each, *fragments.values())))
            yield Recorded(f"{name or 'an operation without a name'} ({path})", alone[name])
