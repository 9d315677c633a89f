"""Who may import whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import peoplegraph

PACKAGE = Path(peoplegraph.__file__).parent
MODULES = {
    ".".join(("peoplegraph", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
MAY_NOT = {
    "peoplegraph.systems": ["peoplegraph."],
    "peoplegraph.errors": ["peoplegraph.backends", "peoplegraph.graph", "peoplegraph.upstream", "peoplegraph.web"],
    "peoplegraph.settings": ["peoplegraph.backends", "peoplegraph.graph", "peoplegraph.upstream"],
    "peoplegraph.upstream": ["peoplegraph.backends", "peoplegraph.graph", "peoplegraph.web", "peoplegraph.context"],
    "peoplegraph.graph": ["peoplegraph.backends", "peoplegraph.web", "peoplegraph.app"],
    "peoplegraph.backends": ["peoplegraph.web", "peoplegraph.app", "peoplegraph.sandbox", "httpx"],
    "peoplegraph.sandbox": [
        "peoplegraph.backends",
        "peoplegraph.graph",
        "peoplegraph.upstream",
        "peoplegraph.context",
        "peoplegraph.settings",
        "peoplegraph.errors",
    ],
}


def imports(path: Path) -> Iterator[str]:
    """Yield what a module imports at run time."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield f"{node.module}"
        waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_layers(module: str) -> None:
    """A module imports from its own layer and from those below it."""
    for imported in imports(MODULES[module]):
        for layer, forbidden in MAY_NOT.items():
            if f"{module}.".startswith(f"{layer}."):
                assert not [f for f in forbidden if imported == f or imported.startswith(f)], imported


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if m.startswith("peoplegraph.engine")])
def test_the_engine_stands_alone(module: str) -> None:
    """The engine imports nothing from the rest of the package: it could be a library of its own."""
    for imported in imports(MODULES[module]):
        assert not imported.startswith("peoplegraph") or imported.startswith("peoplegraph.engine"), imported


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if m.startswith("peoplegraph.backends.")])
def test_backends_do_not_know_each_other(module: str) -> None:
    """No backend imports another at run time."""
    backends = {path.parent.name for path in PACKAGE.glob("backends/*/__init__.py")}
    own = module.split(".")[2]
    for imported in imports(MODULES[module]):
        parts = imported.split(".")
        if parts[:2] == ["peoplegraph", "backends"] and len(parts) > 2:
            assert parts[2] == own or parts[2] not in backends, imported


@pytest.mark.parametrize("backend", sorted(path.parent for path in PACKAGE.glob("backends/*/__init__.py")))
def test_backends_have_the_same_file_names(backend: Path) -> None:
    """Whoever has read one backend knows where everything is in the others."""
    names = {path.name for path in backend.glob("*.py")}
    assert names - {"mutations.py"} == {"__init__.py", "client.py", "wire.py", "loaders.py", "graph.py"}


@pytest.mark.parametrize("path", sorted(MODULES.values()), ids=lambda path: path.name)
def test_no_file_is_long(path: Path) -> None:
    """A file that passes 400 lines has two reasons to exist."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_only_settings_read_the_environment() -> None:
    """`os.environ` is read in one package."""
    readers = {name for name, path in MODULES.items() if "os" in imports(path)}
    assert readers == {"peoplegraph.settings", "peoplegraph.settings.environment"}
