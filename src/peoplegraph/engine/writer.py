"""Writing Python source: lines, blocks, and the places in it that values have."""

from dataclasses import dataclass


class Writer:
    """The lines of one function."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines = [f"def {name}(s, p, run):"]
        self.depth = 1
        self.blocks = 0

    def __call__(self, line: str) -> None:
        """Add a line."""
        self.lines.append("    " * self.depth + line)

    def block(self, line: str, *, nests: bool = False) -> "Block":
        """Add a line that begins a block; `nests` says that Python counts it."""
        self(line)
        return Block(self, nests=nests)


@dataclass(slots=True)
class Block:
    """A block of lines, while it is open."""

    function: Writer
    nests: bool

    def __enter__(self) -> None:
        self.function.depth += 1
        self.function.blocks += self.nests

    def __exit__(self, *_: object) -> None:
        self.function.depth -= 1
        self.function.blocks -= self.nests


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the functions a value is, and where it goes in the response."""

    value: str
    """The variable that it is in."""
    position: str
    """The expression for its position."""
    null_up: int | None
    """How many keys up there is a position that may be null, 0 being this one; None is the whole response."""

    def below(self, value: str, position: str, *, nullable: bool) -> "Place":
        """Return the place of a part of this value."""
        up = None if self.null_up is None else self.null_up + 1
        return Place(value, position, 0 if nullable else up)
