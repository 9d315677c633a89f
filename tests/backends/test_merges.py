"""Merging an update into a record: what the input does not name stays."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from peoplegraph.backends.billtrust_disputes.mutations import merge as merge_assignee
from peoplegraph.backends.rpm.mutations import merge as merge_rep

VALUES = st.none() | st.booleans() | st.text(max_size=3)
NAMES = st.sampled_from(["active", "userId", "unknown", "departmentId"])
PERSON = st.dictionaries(st.sampled_from(["email", "fax", "unknown"]), VALUES)
ADDRESS = st.none() | st.dictionaries(st.sampled_from(["city", "zip", "unknown"]), VALUES)


@st.composite
def assignees(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a record, or the changes to one: with or without person, and address in it."""
    drawn: dict[str, Any] = dict(draw(st.dictionaries(NAMES, VALUES)))
    if draw(st.booleans()):
        drawn["person"] = dict(draw(PERSON))
        if draw(st.booleans()):
            drawn["person"]["address"] = draw(ADDRESS)
    return drawn


def leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return the values of nested objects by their paths."""
    found: dict[tuple[str, ...], Any] = {}
    for name, value in tree.items():
        found |= leaves(value, (*path, name)) if isinstance(value, dict) else {(*path, name): value}
    return found


@given(assignees(), assignees())
def test_an_assignee_keeps_what_is_not_named(record: dict[str, Any], changes: dict[str, Any]) -> None:
    """Every leaf is the change's where it names one, and the record's where it does not."""
    merged = leaves(merge_assignee(record, changes))
    before, named = leaves(record), leaves(changes)
    for path, value in merged.items():
        assert value == named.get(path, before.get(path))
    for path in before.keys() - merged.keys():
        cleared = any(path[: len(n)] == n for n in named)
        filled = any(n[: len(path)] == path for n in named)
        assert cleared or filled
    assert named.keys() <= merged.keys()


def test_an_address_of_no_lines_changes_nothing() -> None:
    """`address: {}` names nothing: where there was no address there is none afterwards."""
    changes: dict[str, Any] = {"person": {"address": {}}}
    assert merge_assignee({"person": {"address": None}}, changes) == {"person": {"address": None}}


KINDS = st.sampled_from([1, 2, 3, 6])


@given(
    st.lists(st.sampled_from([1, 2, 3, 5, 6]), unique=True, max_size=4),
    st.none() | st.lists(KINDS, unique=True, max_size=3),
)
def test_phone_numbers_are_whole(old: list[int], new: list[int] | None) -> None:
    """The list is what the input has, each with the id that its type had, and what cannot be named stays."""
    record: dict[str, Any] = {
        "Contact": {"PhoneNumbers": [{"Type": t, "Number": "old", "PhoneNumberID": t} for t in old]}
    }
    numbers = None if new is None else [{"Type": t, "Number": "new"} for t in new]
    changes = {"Contact": {"PhoneNumbers": numbers}}
    merged: list[dict[str, Any]] = merge_rep(record, changes)["Contact"]["PhoneNumbers"]
    assert [(n["Type"], n["Number"]) for n in merged] == [(t, "new") for t in new or []] + [
        (t, "old") for t in old if t == 5
    ]
    assert all(n.get("PhoneNumberID") == (n["Type"] if n["Type"] in old else None) for n in merged)


def test_lists_that_are_not_named_stay() -> None:
    """An update of a name sends the lists as they were read."""
    record = {"Contact": {"FirstName": "A", "PhoneNumbers": [{"Type": 5}]}, "Fields": [1], "AssignmentCodes": None}
    merged = merge_rep(record, {"Contact": {"FirstName": "B"}})
    assert merged == record | {"Contact": {"FirstName": "B", "PhoneNumbers": [{"Type": 5}]}}
