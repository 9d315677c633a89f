"""What text people may send on: no control characters, and of a length that somebody may have meant."""

import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

from strawberry import Some
from strawberry.utils.str_converters import to_camel_case

from peoplegraph.errors import Issue

MAX_LINE = 1_000
MAX_TEXT = 10_000
"""How many characters a line, or free text, may have."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What ends a line, or cannot be seen in one."""

_FREE_TEXT = frozenset({"RepresentativeInput.extra_info", "RepFieldInput.value"})
"""The fields of inputs whose text may have several lines."""

_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def text_issues(input: Any, path: tuple[str, ...] = ("input",)) -> list[Issue]:
    """Return what is wrong with the texts in an input object, and in those that it holds."""
    return list(_issues(input, path, free=False))


def _issues(value: Any, path: tuple[str, ...], *, free: bool) -> Iterator[Issue]:
    if isinstance(value, Some):
        yield from _issues(value.value, path, free=free)
    elif isinstance(value, str):
        problem = _problem(value, free=free)
        if problem:
            yield Issue(path, f"{path[-1]} {problem}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _issues(item, (*path, str(index)), free=free)
    elif is_dataclass(value):
        for name, item in vars(value).items():
            yield from _issues(
                item, (*path, to_camel_case(name)), free=f"{type(value).__name__}.{name}" in _FREE_TEXT
            )


def _problem(text: str, *, free: bool) -> str | None:
    most = MAX_TEXT if free else MAX_LINE
    if len(text) > most:
        return f"may have at most {most:,} characters"
    if (_CONTROL_IN_TEXT if free else CONTROL).search(text):
        return "may not have control characters"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "must be valid Unicode text"
    return None
