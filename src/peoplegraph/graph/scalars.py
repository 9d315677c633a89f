"""The schema's own scalars."""

from collections.abc import Mapping
from typing import NewType

import strawberry
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

DateTime = NewType("DateTime", str)

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
        description="Any JSON value.",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    ),
}

MAX_JSON_DEPTH = 100


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
