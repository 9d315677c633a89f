"""What a changed schema means for clients: each change by its weight, and by the operations that it hits."""

import json
from pathlib import Path

import pytest
from graphql import parse, print_ast

from peoplegraph.commands.changes import Change, SchemaError, Weight, find_changes, read_schema
from peoplegraph.commands.recorded import Recorded, RecordedError, find_hits, read_operations, uses
from peoplegraph.commands.verdict import FailOn, compare
from peoplegraph.schema import print_schema

BASE = """\
directive @requiresScope(scope: String!) on FIELD_DEFINITION
directive @mine(size: Int = 1) on FIELD
directive @tag(name: String!) on OBJECT

interface Person { id: ID! name: String boss: Person }
"A rep."
type Rep implements Person {
  id: ID!
  name: String
  boss: Person
  kind: Kind!
  pay: Int @requiresScope(scope: "pay:read")
}
type Agency { id: ID! }
union Found = Rep | Agency
enum Kind { INSIDE OUTSIDE }
scalar Date @specifiedBy(url: "dates:")
input Lookup @oneOf { id: ID code: String }
input Key { id: ID code: String }
input Filter { kind: Kind size: Int! = 5 wide: Int! = 1 }
type Query {
  person(id: ID!): Person
  rep(by: Lookup!, day: Date): Rep
  reps(first: Int = 10, filter: Filter, key: Key): [Rep!]
  find(text: String!): [Found!]
}
type Mutation { add(kind: Kind!, note: String): Rep }
"""


def changed(*pairs: tuple[str, str]) -> list[Change]:
    """Return the changes that replacing texts of the schema makes."""
    text = BASE
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new.replace("...P", "id: ID! name: String boss: Person"))
    return find_changes(read_schema(BASE, "old"), read_schema(text, "new"))


@pytest.mark.parametrize(
    ("old", "new", "weight", "text"),
    [
        # what graphql-core finds
        ("kind: Kind!\n", "\n", "breaking", "Field Rep.kind was removed."),
        ("kind: Kind!\n", "kind: Kind\n", "breaking", "Field Rep.kind changed type from Kind! to Kind."),
        ("): [Rep!]", "): [Rep]", "breaking", "Field Query.reps changed type from [Rep!] to [Rep]."),
        (" day: Date", " day: Date!", "breaking", "Argument Query.rep(day:) has changed type from Date to Date!."),
        ("(text: String!", "(t: Int!, text: String!", "breaking", "A required argument Query.find(t:) was added."),
        ("note: String", "", "breaking", "Argument Mutation.add(note:) was removed."),
        ("INSIDE OUTSIDE", "INSIDE", "breaking", "Enum value Kind.OUTSIDE was removed."),
        ("Rep | Agency", "Rep", "breaking", "Agency was removed from union type Found."),
        ("{ kind: Kind size", "{ kind: Kind x: Int! size", "breaking", "A required field Filter.x was added."),
        (
            "scalar Date",
            "enum Date { D } scalar D1",
            "breaking",
            "Date changed from a Scalar type to an Enum type.",
        ),
        ("type Rep implements Person", "type Rep", "breaking", "Rep no longer implements interface Person."),
        ("on FIELD\n", "on QUERY\n", "breaking", "FIELD was removed from @mine."),
        ("INSIDE OUTSIDE", "INSIDE OUTSIDE X", "dangerous", "Enum value Kind.X was added."),
        ("note: String", "note: String, x: Int", "dangerous", "An optional argument Mutation.add(x:) was added."),
        (
            "first: Int = 10",
            "first: Int = 20",
            "dangerous",
            "Query.reps(first:) has changed defaultValue from 10 to 20.",
        ),
        ("first: Int = 10", "first: Int", "dangerous", "Query.reps(first:) defaultValue was removed."),
        ("type Agency {", "type Agency { x: Int", "safe", "Field Agency.x was added."),
        ('"A rep."', '"The rep has changed to "', "safe", "Description of Rep has changed."),
        ("  name: String\n", "  name: String!\n", "safe", "Field Rep.name changed type from String to String!."),
        (
            "text: String!",
            "text: String",
            "safe",
            "Argument Query.find(text:) has changed type from String! to String.",
        ),
        # what it does not, or takes for something else
        (
            "  name: String\n",
            '  name: String @requiresScope(scope: "x")\n',
            "breaking",
            'Rep.name has @requiresScope(scope: "x") now.',
        ),
        (
            ' @requiresScope(scope: "pay:read")',
            "",
            "safe",
            'Rep.pay has @requiresScope(scope: "pay:read") no more.',
        ),
        (
            '"pay:read"',
            '"x"',
            "breaking",
            'Rep.pay has @requiresScope(scope: "x") now, no more @requiresScope(scope: "pay:read").',
        ),
        ("kind: Kind!\n", "kind: Kind! @deprecated\n", "safe", "Rep.kind has @deprecated now."),
        ("note: String", "note: String @deprecated", "safe", "Mutation.add(note:) has @deprecated now."),
        ("INSIDE OUTSIDE", "INSIDE OUTSIDE @deprecated", "safe", "Kind.OUTSIDE has @deprecated now."),
        ("Lookup @oneOf {", "Lookup {", "safe", "Lookup has @oneOf no more."),
        ("input Key {", "input Key @oneOf {", "breaking", "Key has @oneOf now."),
        (
            "dates:",
            "days:",
            "dangerous",
            'Date has @specifiedBy(url: "days:") now, no more @specifiedBy(url: "dates:").',
        ),
        ("type Agency {", 'type Agency @tag(name: "x") {', "dangerous", 'Agency has @tag(name: "x") now.'),
        ("directive @tag(name: String!) on OBJECT", "", "safe", "Directive @tag was removed."),
        ("size: Int! = 5", "size: Int!", "breaking", "Filter.size has no default any more, and must be given."),
        ("wide: Int! = 1", "wide: Int = 1", "safe", "Field Filter.wide changed type from Int! to Int."),
        (
            "type Agency {",
            "type Boss implements Person { ...P } type Agency {",
            "dangerous",
            "Boss was added, and implements Person.",
        ),
        (
            "type Mutation {",
            "schema { query: Query } type Mutation {",
            "breaking",
            "A mutation begins at None, no more at Mutation.",
        ),
    ],
)
def test_each_change_has_its_weight(old: str, new: str, weight: str, text: str) -> None:
    """A change is told in a line, under what it means for clients."""
    told = [(str(change.weight), change.text) for change in changed((old, new)) if change.text == text]
    assert told == [(weight, text)]


def test_a_scalar_that_nothing_uses_any_more_breaks_nobody() -> None:
    """graphql-core calls it breaking that a standard scalar is gone; whatever used it is told of by itself."""
    old = read_schema("type Query { a: Int b: Float @deprecated }", "old")
    new = read_schema("type Query { a: Int }", "new")
    assert [(str(change.weight), change.text) for change in find_changes(old, new)] == [
        ("breaking", "Field Query.b was removed."),
        ("safe", "Standard scalar Float was removed because it is not referenced anymore."),
    ]


def test_the_worst_is_first() -> None:
    """Breaking changes come before dangerous ones, and these before safe ones."""
    found = changed(
        ("INSIDE OUTSIDE", "INSIDE OUTSIDE X"), ("type Agency {", "type Agency { x: Int"), ("note: String", "")
    )
    assert [change.weight for change in found] == [Weight.BREAKING, Weight.DANGEROUS, Weight.SAFE]


def test_a_schema_has_not_changed_from_itself() -> None:
    """No change is found where there is none; our own schema is one that can be compared."""
    assert changed() == []
    ours = read_schema(print_schema(), "ours")
    assert find_changes(ours, read_schema(print_schema(), "ours")) == []


OPERATIONS = {
    "Names": "query Names { person(id: 1) { name ...F } } fragment F on Rep { boss { id } }",
    "Pay": "query Pay($by: Lookup!) { rep(by: $by) { pay kind } }",
    "Literal": "{ reps(filter: { kind: INSIDE }, key: { id: 1 }) { id } }",
    "Variable": "query Variable($f: Filter) { reps(filter: $f, first: 2) @mine(size: 2) { id } }",
    "Add": "mutation Add { add(kind: INSIDE) { id } }",
    "Find": 'query Find { find(text: "x") { ... on Agency { id } } }',
}
RECORDED = [Recorded(name, parse(text)) for name, text in OPERATIONS.items()]


@pytest.mark.parametrize(
    ("old", "new", "hit", "broken"),
    [
        ("kind: Kind!\n", "\n", {"Pay"}, {"Pay"}),
        ("kind: Kind!\n", "kind: Kind\n", {"Pay"}, set()),
        ("  pay: Int @", "  salary: Int @", {"Pay"}, {"Pay"}),
        # what is asked of an interface is asked of the types behind it
        ("  name: String\n", '  name: String @requiresScope(scope: "x")\n', {"Names"}, set()),
        ("input Lookup @oneOf { id: ID code: String }", "input Lookup @oneOf { id: ID }", {"Pay"}, set()),
        # a literal has what it has, a variable may have anything
        ("INSIDE OUTSIDE", "INSIDE", {"Variable", "Pay"}, set()),
        ("INSIDE OUTSIDE", "OUTSIDE", {"Literal", "Variable", "Add", "Pay"}, {"Literal", "Add"}),
        ("{ kind: Kind size", "{ kind: Kind x: Int! size", {"Literal", "Variable"}, {"Literal"}),
        ("size: Int! = 5", "size: Int!", {"Literal", "Variable"}, {"Literal"}),
        # who leaves an argument out is hit by one that must be given, not by one that is gone
        ("note: String", "", set(), set()),
        ("note: String", "note: String!", {"Add"}, {"Add"}),
        ("first: Int = 10,", "", {"Variable"}, {"Variable"}),
        ("Rep | Agency", "Rep", {"Find"}, {"Find"}),
        ("on FIELD\n", "on QUERY\n", {"Variable"}, {"Variable"}),
        ("input Key {", "input Key @oneOf {", {"Literal"}, set()),
    ],
)
def test_a_change_hits_who_uses_its_place(old: str, new: str, hit: set[str], broken: set[str]) -> None:
    """A breaking change hits the operations that use what is changed, those that it makes invalid among them."""
    changes = [change for change in changed((old, new)) if change.weight is Weight.BREAKING]
    assert changes
    after = read_schema(BASE.replace(old, new), "new")
    findings = find_hits(changes, RECORDED, read_schema(BASE, "old"), after)
    assert {label for labels in findings.hit.values() for label in labels} == hit
    assert findings.broken.keys() == broken
    assert findings.unknown == ()


def test_dangerous_changes_hit_who_leaves_out_as_well() -> None:
    """Another default hits who does not give the argument; another value of an enum who asks for it."""
    changes = changed(("first: Int = 10", "first: Int = 20"), ("INSIDE OUTSIDE", "INSIDE OUTSIDE X"))
    old = read_schema(BASE, "old")
    hit = find_hits(changes, RECORDED, old, old).hit
    assert {change.place: set(labels) for change, labels in hit.items()} == {
        "Query.reps": {"Literal", "Variable"},
        "Kind": {"Pay", "Literal", "Variable", "Add"},
    }


def test_what_an_operation_uses() -> None:
    """Coordinates of fields, arguments, what goes in, and directives; of an interface also those behind it."""
    used = uses(RECORDED[0].document, read_schema(BASE, "old"))
    assert used == {
        *("Query", "Query.person", "Query.person(id:)", "ID", "String"),
        *("Person", "Person.name", "Rep", "Rep.name", "Rep.boss", "Person.id", "Rep.id"),
    }
    used = uses(parse("{ reps(first: 2) @mine(size: 2) { id } }"), read_schema(BASE, "old"))
    assert used == {"Query", "Query.reps", "Query.reps(first:)", "@mine", "Int", "Rep", "Rep.id", "ID"}


def test_a_change_without_a_place_hits_everybody() -> None:
    """What cannot be told to be elsewhere is taken to be where an operation is."""
    old = read_schema(BASE, "old")
    (labels,) = find_hits([Change(Weight.BREAKING, "Something.", "")], RECORDED, old, old).hit.values()
    assert set(labels) == OPERATIONS.keys()


def test_what_is_safe_by_itself_may_break_an_operation() -> None:
    """A field that is not null any more makes an operation invalid that has it beside one that may be."""
    types = "type Query { x: X } union X = A | B type B { n: Int } type A { n: Int%s }"
    operation = Recorded("N", parse("{ x { ... on A { n } ... on B { n } } }"))
    verdict = compare(types % "", types % "!", "old", [operation])
    assert [change.weight for change in verdict.changes] == [Weight.SAFE]
    assert verdict.fails(FailOn.BREAKING)
    assert any(line.startswith("not valid any more: N: ") for line in verdict.lines())


def test_what_was_never_valid_is_not_looked_at() -> None:
    """An operation that was not valid before is told of, and is nobody's break."""
    old = read_schema(BASE, "old")
    findings = find_hits(changed(("note: String", "")), [Recorded("X", parse("{ x }"))], old, old)
    assert (list(findings.hit.values()), findings.broken, findings.unknown) == ([()], {}, ("X",))


def test_operations_are_read_from_files_folders_and_manifests(tmp_path: Path) -> None:
    """Fragments may be in another file of a folder; a manifest may be Apollo's or an object by id."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/a.graphql").write_text("query A { rep { ...F } } { rep { ...F } }")
    (tmp_path / "app/f.gql").write_text("fragment F on Rep { id } fragment G on Rep { x }")
    (tmp_path / "app/notes.txt").write_text("query")
    apollo = {"format": "apollo-persisted-query-manifest", "version": 1}
    entry = {"id": "1", "name": "B", "type": "query", "body": "query B { rep { id } }"}
    (tmp_path / "apollo.json").write_text(json.dumps({**apollo, "operations": [entry]}))
    (tmp_path / "relay.json").write_text(json.dumps({"abc": "query A { rep { name } }"}))
    found = read_operations([tmp_path / "app", tmp_path / "apollo.json", tmp_path / "relay.json"])
    assert [(each.label, len(each.document.definitions)) for each in found] == [
        (f"A ({tmp_path}/app/a.graphql)", 2),
        (f"an operation without a name ({tmp_path}/app/a.graphql)", 2),
        (f"B ({tmp_path}/apollo.json)", 1),
        (f"A ({tmp_path}/relay.json)", 1),
    ]


def test_a_files_own_fragments_go_first(tmp_path: Path) -> None:
    """Two fragments of one name are each their own file's; to a third file neither is what is meant."""
    for name, field in (("a", "id"), ("b", "pay")):
        text = f"query {name} {{ rep {{ ...F }} }} fragment F on Rep {{ {field} }}"
        (tmp_path / f"{name}.graphql").write_text(text)
    (tmp_path / "c.graphql").write_text("query c { rep { ...F } }")
    first, second, third = (print_ast(each.document) for each in read_operations([tmp_path]))
    assert "{\n  id\n}" in first
    assert "{\n  pay\n}" in second
    assert "fragment" not in third


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.graphql", "query {", "a.graphql:1: Syntax Error: Expected Name, found <EOF>."),
        ("a.graphql", "type Query { a: Int }", "there is no operation in these files"),
        ("a.graphql", "{ a " * 5_000, "a.graphql:1: Syntax Error: Document is nested too deeply."),
        ("a.json", "{", "a.json: it is not JSON"),
        ("a.json", "[]", "a.json: it must be an object of documents by id, or a manifest of Apollo's"),
        ("a.json", "[" * 100_000, "a.json: it is nested too deeply"),
        ("a.json", '{"1": "query {"}', "a.json: Syntax Error: Expected Name, found <EOF>."),
    ],
)
def test_operations_that_cannot_be_read(tmp_path: Path, name: str, text: str, said: str) -> None:
    """What is no operation is one line with the file's name."""
    (tmp_path / name).write_text(text)
    with pytest.raises(RecordedError) as raised:
        read_operations([tmp_path / name])
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "old: it is no schema: Syntax Error: Unexpected <EOF>."),
        ("type Query { a: Missing }", "old: it is no schema: Unknown type 'Missing'."),
        ("type Other { a: Int }", "old: it is no schema: Query root type must be provided."),
        ("type Query { a(x: " + "[" * 5_000, "old: it is no schema: "),
    ],
)
def test_a_text_that_is_no_schema(text: str, said: str) -> None:
    """What is no schema is one line with the file's name."""
    with pytest.raises(SchemaError) as raised:
        read_schema(text, "old")
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "alone", "recorded"),
    [
        ("kind: Kind!\n", "\n", "difference dangerous breaking", "difference dangerous breaking"),
        ("note: String", "", "difference dangerous breaking", "difference"),
        ("INSIDE OUTSIDE", "INSIDE OUTSIDE X", "difference dangerous", "difference dangerous"),
        ("note: String", "note: String, x: Int", "difference dangerous", "difference dangerous"),
        ("type Agency {", "type Agency { x: Int", "difference", "difference"),
        ("INSIDE OUTSIDE", "OUTSIDE INSIDE", "difference", "difference"),
    ],
)
def test_what_is_a_failure(old: str, new: str, alone: str, recorded: str) -> None:
    """With recorded operations a breaking or dangerous change is one where it hits any of them."""
    for operations, failing in (((), alone), (RECORDED, recorded)):
        verdict = compare(BASE, BASE.replace(old, new), "old", operations)
        assert [level for level in FailOn if verdict.fails(level)] == failing.split()


def test_an_order_is_no_change() -> None:
    """A difference in the order alone is said to be none for clients, and is shown."""
    lines = list(compare(BASE, BASE.replace("INSIDE OUTSIDE", "OUTSIDE INSIDE"), "old").lines())
    assert lines[0] == "Nothing changes for clients: it is the order, or how it is written."
    assert "-enum Kind { INSIDE OUTSIDE }" in lines
