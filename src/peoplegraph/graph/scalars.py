"""The schema's own scalars."""

import re
from collections.abc import Mapping
from typing import NewType

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

DateTime = NewType("DateTime", str)

MAX_JSON_DEPTH = 100

MAX_INPUT_DEPTH = 20
MAX_INPUT_VALUES = 1_000
MAX_INPUT_CHARACTERS = 100_000
MAX_INTEGER = 10**100
"""Far more than any system has; what it had, it may be sent again."""


def _checked(value: object) -> object:
    """Return a JSON value that may be sent on; raises `GraphQLError` for one that is too much."""
    level, values, characters = [value], 0, 0
    for _ in range(MAX_INPUT_DEPTH + 1):
        values += len(level)
        for each in level:
            if isinstance(each, str):
                characters += len(each)
                if "\0" in each or (not each.isascii() and _LONE.search(each)):
                    raise GraphQLError("a JSON value must be valid Unicode text, without NUL")
            elif isinstance(each, int) and abs(each) > MAX_INTEGER:
                raise GraphQLError("an integer in a JSON value may have at most 100 digits")
        if values > MAX_INPUT_VALUES or characters > MAX_INPUT_CHARACTERS:
            raise GraphQLError(
                f"a JSON value may have {MAX_INPUT_VALUES} values, {MAX_INPUT_CHARACTERS} characters"
            )
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in ((*outer, *outer.values()) if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise GraphQLError(f"a JSON value may be nested {MAX_INPUT_DEPTH} deep")


_LONE = re.compile("[\ud800-\udfff]")


SCALARS: Mapping[object, ScalarDefinition] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A date and time as ISO 8601 text, as the system of record spells it: "
        '"2021-03-27T18:50:05.300Z".',
        serialize=str,
        parse_value=str,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value; as an input nested at most 20 deep, with at most 1,000 values and 100,000 "
        "characters of text.",
        serialize=lambda value: value,
        parse_value=_checked,
    ),
}


def is_shallow(value: object) -> bool:
    """Whether a JSON value is nested no deeper than an answer can be encoded."""
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False


__all__ = ["JSON", "SCALARS", "DateTime", "is_shallow"]
