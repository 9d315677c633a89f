"""What the soak asks, and what may be answered: from the emulated systems' seed and from what was written since.

Some records' titles are written, one write of a record at a time. A read may find what was written last, or what is
being written while it is under way, and nothing else; where nobody knows whether a write was carried out, what was
there or what was sent. Gateways that share nothing may find what was there for `lag_s` longer.
"""

import json
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from peoplegraph.sandbox import Sandbox

Place = tuple[str | int, ...]

REPRESENTATIVE = "reference name email phone title"
REP = "repId name title agency { name }"
ASSIGNEE = "assigneeId firstName email title"
POINT = f"query Point($r: String!) {{ representative(reference: $r) {{ {REPRESENTATIVE} }} }}"
JOIN = f"""query Join($r: [String!]!) {{ representatives(references: $r) {{
  {REPRESENTATIVE} supervisor {{ reference name }} assignee {{ assigneeId email }} }} }}"""
OF_REP = f"query Rep($r: Int!) {{ rep(by: {{ repId: $r }}) {{ {REP} }} }}"
OF_ASSIGNEE = f"query Assignee($r: String!) {{ assignee(by: {{ assigneeId: $r }}) {{ {ASSIGNEE} }} }}"
LIST = f"query List {{ assignees(first: 200) {{ nodes {{ {ASSIGNEE} }} }} }}"
WRITES = {
    "representative": f"""mutation WriteRepresentative($r: String!, $t: String) {{
      write: updateRepresentative(reference: $r, input: {{ title: $t }}) {{
        record: representative {{ {REPRESENTATIVE} }} errors {{ message }} }} }}""",
    "rep": f"""mutation WriteRep($r: Int!, $t: String) {{ write: updateRep(repId: $r, input: {{ title: $t }}) {{
        record: rep {{ {REP} }} errors {{ message }} }} }}""",
    "assignee": f"""mutation WriteAssignee($r: String!, $t: String) {{
      write: updateAssignee(by: {{ assigneeId: $r }}, input: {{ title: $t }}) {{
        record: assignee {{ {ASSIGNEE} }} errors {{ message }} }} }}""",
}
READS = {"representative": POINT, "rep": OF_REP, "assignee": OF_ASSIGNEE}
SYSTEMS = {"representative": "COLLECTIONS", "rep": "RPM", "assignee": "DISPUTES"}
WRITTEN: dict[str, list[Any]] = {
    "representative": [f"REP-{number:03}" for number in range(101, 121)],
    "rep": list(range(1051, 1061)),
    "assignee": [f"asg-{number:04}" for number in range(102, 122, 2)],  # those without a user, who keeps the title
}
"""The records that are written to; the others stay as they are."""


class Register:
    """What a title may be, for each gateway."""

    def __init__(self, title: str, gateways: int, lag_s: float) -> None:
        self._may_be = [{title} for _ in range(gateways)]
        self._lag_s = lag_s
        self._settles: dict[int, float] = {}
        self._last, self._through, self._done_at = title, -1, 0.0
        self._readers: list[set[str]] = []
        self.is_being_written = False

    def __repr__(self) -> str:
        ago_s = time.monotonic() - self._done_at
        return f"<Register {self._last}, written {ago_s:.2f} s ago through gateway {self._through}>"

    def begin(self, title: str) -> None:
        """Take note that a write begins: what reads under way find may be old or new."""
        self.is_being_written = True
        self._settles.clear()
        for titles in (*self._may_be, *self._readers):
            titles.add(title)

    def done(self, title: str, through: int, fresh: Iterable[int]) -> None:
        """Take note that a write was answered: these gateways find nothing else from now on, the others later."""
        self.is_being_written = False
        self._last, self._through, self._done_at = title, through, time.monotonic()
        later = self._done_at + self._lag_s
        self._settles = dict.fromkeys(range(len(self._may_be)), later) | dict.fromkeys(fresh, 0.0)
        self._settle()

    def failed(self, title: str, *, unknown: bool) -> None:
        """Take note that a write was not carried out, or that nobody knows."""
        self.is_being_written = False
        for titles in self._may_be:
            if not unknown:
                titles.discard(title)

    def read(self, gateway: int) -> set[str]:
        """Return what a read that begins now may find; the set grows until it is `forgotten`."""
        self._settle()
        titles = set(self._may_be[gateway])
        self._readers.append(titles)
        return titles

    def forget(self, titles: set[str]) -> None:
        """Take note that a read is over."""
        self._readers = [other for other in self._readers if other is not titles]

    def is_strict(self, gateway: int) -> bool:
        """Whether a gateway may find one title only."""
        self._settle()
        return len(self._may_be[gateway]) == 1

    def _settle(self) -> None:
        for gateway in [g for g, at in self._settles.items() if at <= time.monotonic()]:
            del self._settles[gateway]
            self._may_be[gateway] = {self._last}


@dataclass
class Question:
    """A request, the data that answers it, and the registers whose titles stand in that data."""

    query: str
    variables: Mapping[str, Any]
    expected: Any
    titles: dict[Place, Register] = field(default_factory=dict)
    """By the path at which each stands."""

    def __str__(self) -> str:
        return f"{self.query.split('(')[0].split('{')[0].strip()} {json.dumps(self.variables)}"

    @property
    def body(self) -> bytes:
        """The request's body."""
        return json.dumps({"query": self.query, "variables": self.variables}).encode()


class Truth:
    """The records as they are, and the questions about them."""

    def __init__(self, gateways: int, lag_s: float, dice: random.Random) -> None:
        sandbox = Sandbox()
        store = sandbox.store
        self._dice = dice
        self._records: dict[str, dict[Any, dict[str, Any]]] = {
            "representative": {row["reference"]: _representative(row) for row in store.representatives},
            "rep": {row["RepID"]: _rep(row) for row in store.reps},
            "assignee": {row["assigneeId"]: _assignee(row) for row in store.assignees},
        }
        self._supervisors = {
            row["reference"]: row["supervisor_representative_reference"] for row in store.representatives
        }
        self._by_email: dict[str, dict[str, Any]] = {}
        for row in self._records["assignee"].values():
            self._by_email.setdefault(row["email"].lower(), row)
        sandbox.close()
        self.registers = {
            (kind, key): Register(self._records[kind][key]["title"], gateways, lag_s)
            for kind, keys in WRITTEN.items()
            for key in keys
        }

    def question(self) -> Question:
        """Return something to read, by chance."""
        dice = self._dice.random()
        if dice < 0.02:
            rows = list(self._records["assignee"].values())[:200]
            return self._named(Question(LIST, {}, {"assignees": {"nodes": rows}}), ("assignees", "nodes"), rows)
        if dice < 0.12:
            references = self._dice.sample(list(self._records["representative"]), 5)
            rows = [self._joined(reference) for reference in references]
            asked = Question(JOIN, {"r": references}, {"representatives": rows})
            return self._named(asked, ("representatives",), rows)
        kind = "representative" if dice < 0.6 else "rep" if dice < 0.8 else "assignee"
        return self.of(kind, self._dice.choice(list(self._records[kind])))

    def of(self, kind: str, key: str | int) -> Question:
        """Return the question for one record."""
        asked = Question(READS[kind], {"r": key}, {kind: self._records[kind][key]})
        if (kind, key) in self.registers:
            asked.titles[kind, "title"] = self.registers[kind, key]
        return asked

    def write(self, kind: str, key: str | int, title: str) -> Question:
        """Return the mutation that writes a title; what it answers is that very title."""
        record = self._records[kind][key] | {"title": title}
        return Question(WRITES[kind], {"r": key, "t": title}, {"write": {"record": record, "errors": []}})

    def idle_register(self) -> tuple[str, str | int, Register] | None:
        """Return a record that is not being written, or None if all are."""
        kind = self._dice.choice(list(WRITTEN))
        key = self._dice.choice(WRITTEN[kind])
        register = self.registers[kind, key]
        return None if register.is_being_written else (kind, key, register)

    def _named(self, asked: Question, path: Place, rows: list[dict[str, Any]]) -> Question:
        """Add the registers of rows that stand below a path."""
        for index, row in enumerate(rows):
            kind, key = next((k, row[n]) for k, n in _KEYS.items() if n in row)
            if (kind, key) in self.registers:
                asked.titles[*path, index, "title"] = self.registers[kind, key]
        return asked

    def _joined(self, reference: str) -> dict[str, Any]:
        record = self._records["representative"][reference]
        leader = self._records["representative"].get(self._supervisors[reference])
        twin = self._by_email.get((record["email"] or "").lower())
        return record | {
            "supervisor": leader and {name: leader[name] for name in ("reference", "name")},
            "assignee": twin and {name: twin[name] for name in ("assigneeId", "email")},
        }


_KEYS = {"representative": "reference", "rep": "repId", "assignee": "assigneeId"}


def _representative(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in REPRESENTATIVE.split()}


def _rep(row: dict[str, Any]) -> dict[str, Any]:
    agency = {"name": row["Agency"]}
    return {"repId": row["RepID"], "name": row["Rep"], "title": row["Contact"]["Title"], "agency": agency}


def _assignee(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "assigneeId": row["assigneeId"],
        **{name: row["person"][name] for name in ("firstName", "email", "title")},
    }


def differences(
    found: Any, expected: Any, failed: set[Place], may_be: Mapping[Place, set[str]], path: Place = ()
) -> Iterator[tuple[Place, str]]:
    """Return where data is not as expected, and how: what failed is null, a title may be one of several."""
    if found is None and expected is not None:
        if not any(error[: len(path)] == path for error in failed):
            yield path, "is null, and no error says why"
    elif isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        for name, value in expected.items():
            yield from differences(found[name], value, failed, may_be, (*path, name))
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        for index, value in enumerate(expected):
            yield from differences(found[index], value, failed, may_be, (*path, index))
    elif found not in list(may_be.get(path, (expected,))):
        yield path, f"is {found!r}, not {' or '.join(map(repr, may_be.get(path, (expected,))))}"
