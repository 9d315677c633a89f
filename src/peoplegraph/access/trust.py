"""`peoplegraph trust`: a manifest of trusted documents, from the files that an application has them in."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from graphql import (
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    Source,
    Visitor,
    parse,
    print_ast,
    visit,
)

from peoplegraph.access.documents import APOLLO_FORMAT, Check, digest

SUFFIXES = (".graphql", ".gql")


class TrustError(Exception):
    """The files cannot become a manifest; the message has a line for each thing that is wrong."""


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that are named, and those with GraphQL in the folders that are."""
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES)
        else:
            yield path


def read_texts(paths: Iterable[Path]) -> dict[Path, str]:
    """Read files. Raises `OSError`, or `TrustError` for one that is not UTF-8."""
    texts = {}
    for path in paths:
        try:
            texts[path] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise TrustError(f"{path}: it is not UTF-8") from None
    return texts


def manifest(texts: Mapping[Path, str], check: Check) -> dict[str, Any]:
    """Return a manifest in Apollo's format: each operation with the fragments that it spreads, from whatever file.

    Its id is the SHA-256 of its body. Raises `TrustError`.
    """
    operations: dict[str, tuple[Path, OperationDefinitionNode]] = {}
    fragments: dict[str, FragmentDefinitionNode] = {}
    where: dict[tuple[str, str], Path] = {}
    problems: list[str] = []
    for path, text in texts.items():
        try:
            definitions = parse(Source(text, str(path))).definitions
        except GraphQLError as error:
            line = error.locations[0].line if error.locations else 1
            problems.append(f"{path}:{line}: {error.message}")
            continue
        for definition in definitions:
            name = definition.name.value if getattr(definition, "name", None) else None  # type: ignore[attr-defined]
            kept: dict[str, Any] = fragments if isinstance(definition, FragmentDefinitionNode) else operations
            line = definition.loc.start_token.line if definition.loc else 1
            if not isinstance(definition, FragmentDefinitionNode | OperationDefinitionNode):
                problems.append(f"{path}:{line}: is neither an operation nor a fragment")
            elif name is None:
                problems.append(f"{path}:{line}: an operation must have a name, by which clients find its id")
            elif name in kept:
                problems.append(f"{path}:{line}: there is another {name}, in {where[definition.kind, name]}")
            else:
                kept[name] = definition if kept is fragments else (path, definition)
                where[definition.kind, name] = path
    entries = []
    for name, (path, operation) in sorted(operations.items()):
        body = "\n\n".join(map(print_ast, [operation, *_spread(operation, fragments)]))
        problems += [f"{path}: {name}: {error.message}" for error in check(body)]
        entries.append({"id": digest(body), "name": name, "type": operation.operation.value, "body": body})
    if not problems and not entries:
        problems.append("there is no operation in these files")
    if problems:
        raise TrustError("\n".join(problems))
    return {"format": APOLLO_FORMAT, "version": 1, "operations": entries}


def _spread(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> list[FragmentDefinitionNode]:
    """Return the fragments that an operation spreads, and those that they do."""
    found: dict[str, FragmentDefinitionNode] = {}
    waiting: list[Any] = [operation]

    class Spreads(Visitor):
        def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
            fragment = fragments.get(node.name.value)
            if fragment is not None and node.name.value not in found:
                found[node.name.value] = fragment
                waiting.append(fragment)

    while waiting:
        visit(waiting.pop(), Spreads())
    return [found[name] for name in sorted(found)]
