"""What the command line shows people: trees and progress, by rich."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from peoplegraph.graph.explain import Explanation, MadeCall, PossibleCall, PossibleField

_COLOURS = {"COLLECTIONS": "cyan", "DISPUTES": "magenta", "RPM": "yellow"}

_BAR = 30
"""How many characters a waterfall is wide."""

WIDE = 240
"""How many characters a line may have where it does not go to a terminal."""


def explanation(explained: Explanation, *, ran: bool) -> RenderableType:
    """Show the calls that an operation may make as a tree, and those that it made as a waterfall."""
    operation = explained.operation
    title = Text.assemble((f"{operation.type} {operation.name or ''}".strip(), "bold"))
    title.append(f"  at worst {_calls(explained.at_worst.calls)}")
    if operation.declined:
        title.append(f"  run by graphql-core: {operation.declined}", "dim")
    tree = Tree(title)
    branches: dict[tuple[str, ...], Tree] = {(): tree}
    for field in explained.at_worst.fields:
        above = max((path for path in branches if tuple(field.path[: len(path)]) == path), key=len)
        name = ".".join(field.path[len(above) :])
        branches[tuple(field.path)] = branch = branches[above].add(
            Text.assemble((name, "bold"), "  ", _type(field))
        )
        for call in field.calls:
            branch.add(_possible(call))
    return Group(tree, *([Text(), _waterfall(explained)] if ran else []))


@contextmanager
def working(text: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal that something is being done, and what, as the block says; nowhere else.

    Ctrl-C ends it.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(text) as status:
        yield status.update


def show(what: RenderableType) -> None:
    """Print to standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(what)


def _type(field: PossibleField) -> Text:
    return Text(field.field, "dim")


def _possible(call: PossibleCall) -> Text:
    paths = " or ".join([call.path, *call.alternatives])
    text = Text.assemble((call.system, _COLOURS.get(call.system, "")), f" {call.method} {paths}  ")
    if not call.at_worst:
        return text.append("counted above", "dim")
    notes = [call.how] if call.how != "one" else []
    if call.kept_s:
        notes.append(f"kept for {call.kept_s:g} s")
    return text.append(_calls(call.at_worst), "bold").append(f"  {'; '.join(notes)}", "dim")


def _waterfall(explained: Explanation) -> RenderableType:
    made = [call for call in explained.calls if call.source == "upstream"]
    bytes_ = sum(call.bytes for call in made)
    title = f"{_calls(len(made))} made, {len(explained.calls) - len(made)} saved, {bytes_:,} bytes, "
    table = Table(title=f"{title}{explained.duration_ms:.1f} ms", title_justify="left", box=None, pad_edge=False)
    table.add_column(no_wrap=True, min_width=_BAR)
    for heading in ("call", "came from", "status", "ms", "bytes"):
        table.add_column(heading, justify="right" if heading in ("ms", "bytes") else "left")
    for call in explained.calls:
        source = call.source if call.attempt == 1 else f"{call.source}, attempt {call.attempt}"
        table.add_row(
            Text(_bar(call, explained.duration_ms), _COLOURS.get(call.system, "")),
            f"{call.system} {call.method} {call.path}",
            source,
            str(call.status or call.code),
            f"{call.duration_ms:.1f}",
            f"{call.bytes:,}",
        )
    return table


def _bar(call: MadeCall, whole_ms: float) -> str:
    begin = min(int(call.start_ms / (whole_ms or 1) * _BAR), _BAR - 1)
    length = max(1, round(call.duration_ms / (whole_ms or 1) * _BAR))
    return ("·" * begin + "█" * length)[:_BAR].ljust(_BAR, "·")


def _calls(number: int) -> str:
    return f"{number:,} call{'' if number == 1 else 's'}"
