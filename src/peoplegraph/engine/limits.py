"""How large an operation may be: counted in linear time, fragments included, before anything is done with it."""

from dataclasses import dataclass, fields
from typing import Any

from graphql import DocumentNode, FragmentDefinitionNode, GraphQLError, OperationDefinitionNode


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one operation; fragments count wherever they are spread."""

    characters: int = 100_000
    tokens: int = 3_000
    """The lexical tokens of the whole document, comments included."""
    depth: int = 25
    """The levels of fields in one another."""
    aliases: int = 200
    root_fields: int = 50
    directives: int = 200


@dataclass(frozen=True, slots=True)
class Size:
    """What a selection set, or an operation, comes to."""

    depth: int = 0
    aliases: int = 0
    root_fields: int = 0
    directives: int = 0


class Sizes:
    """The sizes of a document's operations, each fragment counted once."""

    def __init__(self, document: DocumentNode) -> None:
        self._definitions = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._fragments: dict[str, Size] = {}

    def of(self, node: Any) -> Size:
        """Return the size of what a node selects, its own directives included."""
        depth = aliases = own_fields = 0
        directives = len(node.directives or ())
        for selection in node.selection_set.selections if node.selection_set else ():
            if selection.kind == "fragment_spread":
                inner = self._fragment(selection.name.value)
                directives += len(selection.directives or ())
            elif selection.kind == "inline_fragment":
                inner = self.of(selection)
            else:
                below = self.of(selection)
                inner = Size(below.depth + 1, below.aliases + (selection.alias is not None), 1, below.directives)
            depth = max(depth, inner.depth)
            aliases += inner.aliases
            own_fields += inner.root_fields
            directives += inner.directives
        return Size(depth, aliases, own_fields, directives)

    def _fragment(self, name: str) -> Size:
        if name not in self._fragments:
            self._fragments[name] = Size()  # of one that spreads itself; validation refuses it
            definition = self._definitions.get(name)
            if definition is not None:
                self._fragments[name] = self.of(definition)
        return self._fragments[name]


def check(document: DocumentNode, limits: Limits) -> list[tuple[str, GraphQLError]]:
    """Return each bound that an operation of the document passes, with an error that says so."""
    sizes = Sizes(document)
    return [
        (
            field.name,
            GraphQLError(
                f"The operation has {has:,} {field.name.replace('_', ' ')}, and may have at most {most:,}."
                if field.name != "depth"
                else f"The operation is {has:,} fields deep, and may be at most {most:,}.",
                definition,
            ),
        )
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode)
        for size in [sizes.of(definition)]
        for field in fields(Size)
        if (has := getattr(size, field.name)) > (most := getattr(limits, field.name))
    ]
