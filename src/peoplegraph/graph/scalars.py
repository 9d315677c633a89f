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

__all__ = ["JSON", "SCALARS", "DateTime"]
