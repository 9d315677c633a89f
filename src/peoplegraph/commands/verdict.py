"""`peoplegraph schema --check`: what differs, what that means for clients, and whether it is a failure."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from peoplegraph.commands.changes import Change, Weight, find_changes, read_schema
from peoplegraph.commands.recorded import Findings, Recorded, find_hits


class FailOn(StrEnum):
    """The least that is a failure."""

    DIFFERENCE = "difference"
    DANGEROUS = "dangerous"
    BREAKING = "breaking"


COUNTS = {FailOn.DANGEROUS: {Weight.BREAKING, Weight.DANGEROUS}, FailOn.BREAKING: {Weight.BREAKING}}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The changes between two texts of a schema; with recorded operations, which of these they hit."""

    changes: Sequence[Change]
    findings: Findings | None
    difference: Sequence[str]

    def fails(self, fail_on: FailOn) -> bool:
        """Whether the changes are a failure; with recorded operations those do not count that hit none."""
        if fail_on is FailOn.DIFFERENCE:
            return bool(self.difference)
        if self.findings and self.findings.broken:
            return True
        return any(
            change.weight in COUNTS[fail_on] and (self.findings is None or self.findings.hit[change])
            for change in self.changes
        )

    def lines(self) -> Iterator[str]:
        """Yield the changes, the worst first, and then the difference."""
        for weight in Weight:
            changes = [change for change in self.changes if change.weight is weight]
            if changes:
                yield f"{weight}:"
                yield from (line for change in changes for line in self._told(change))
        if self.difference and not self.changes:
            yield "Nothing changes for clients: it is the order, or how it is written."
        if self.findings:
            for label, message in self.findings.broken.items():
                yield f"not valid any more: {label}: {message}"
            for label in self.findings.unknown:
                yield f"not looked at, since it was not valid before: {label}"
        if self.difference:
            yield from ("", *self.difference)

    def _told(self, change: Change) -> Iterator[str]:
        yield f"  {change.text}"
        if self.findings and change.weight is not Weight.SAFE:
            hit = self.findings.hit[change]
            yield from (f"    hits {label}" for label in hit)
            if not hit:
                yield "    hits none of the operations"


def compare(old: str, new: str, name: str, operations: Sequence[Recorded] = ()) -> Verdict:
    """Compare a file's text with the schema's. Raises `SchemaError` if the file has no schema."""
    difference = [
        *difflib.unified_diff(old.splitlines(), new.splitlines(), name, "peoplegraph schema", lineterm="")
    ]
    if not difference:
        return Verdict((), None, ())
    before, after = read_schema(old, name), read_schema(new, "peoplegraph schema")
    changes = find_changes(before, after)
    findings = find_hits(changes, operations, before, after) if operations else None
    return Verdict(changes, findings, difference)
