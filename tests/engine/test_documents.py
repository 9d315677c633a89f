"""Documents: what is kept of them, and what is refused before anything is done with it."""

import time

import pytest
from graphql import get_introspection_query

from peoplegraph.engine import Engine, Limits
from peoplegraph.engine.documents import Document, Documents
from tests.engine.chaos import SCHEMA


def errors(text: str, **limits: int) -> list[str]:
    """Return what is wrong with a document."""
    return [error.message for error in Document(SCHEMA, text, Limits(**limits)).errors]


@pytest.mark.parametrize(
    ("text", "limits", "said"),
    [
        ("{ being { friend { name } } }", {"depth": 2}, "The operation is 3 fields deep, and may be at most 2."),
        ("{ being { ...B } } fragment B on Being { friend { name } }", {"depth": 2}, "is 3 fields deep"),
        ("{ a: sure b: sure }", {"aliases": 1}, "has 2 aliases, and may have at most 1"),
        ("{ ...A ...A } fragment A on Query { a: sure }", {"aliases": 1}, "has 2 aliases"),
        ("{ sure place { id count } }", {"root_fields": 1}, "has 2 root fields, and may have at most 1"),
        ("{ sure @skip(if: true) @include(if: true) }", {"directives": 1}, "has 2 directives"),
        ("{ sure }", {"tokens": 2}, "Document contains more than 2 tokens"),
        ("{ sure     }", {"characters": 10}, "more than 10 code points"),
    ],
)
def test_bounds(text: str, limits: dict[str, int], said: str) -> None:
    """One that is passed is said with the figure; what is at the bound passes."""
    (message,) = errors(text, **limits)
    assert said in message
    assert errors(text, **{name: bound + 60 for name, bound in limits.items()}) == []


HOSTILE = {
    "a megabyte of braces": "{" * 1_000_000,
    "deep": "{ being" + "{ friend" * 600 + "{ name }" + "}" * 601,
    "aliases": "{" + " ".join(f"a{n}: sure" for n in range(20_000)) + "}",
    "doubling": "{ ...F0 } "
    + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(100))
    + " fragment F100 on Query { sure }",
    "doubling fields": "{ being { ...F0 } } "
    + " ".join(
        f"fragment F{n} on Being {{ a: friend {{ ...F{n + 1} }} friend {{ ...F{n + 1} }} }}" for n in range(20)
    )
    + " fragment F20 on Being { name }",
    "a cycle": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "directives": "{ sure " + "@skip(if: false) " * 20_000 + "}",
    "comments": "#\n" * 400_000 + "{ sure }",
    "a string": '{ echo(ident: "' + "x" * 900_000 + '") }',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_documents_are_refused_quickly(text: str) -> None:
    """In a time that does not grow with what they would come to; the second time at once."""
    engine = Engine(SCHEMA)
    began = time.perf_counter()
    assert engine.documents.get(text).errors
    assert time.perf_counter() - began < 1  # a few milliseconds; the machine may be busy
    if len(text) <= Limits().characters:
        assert engine.documents.get(text) is engine.documents.get(text)


@pytest.mark.parametrize("text", ["{ nope }", "{ sure", "{ a: sure b: sure }"])
def test_a_refusal_keeps_nothing_of_the_document(text: str) -> None:
    """Neither the syntax tree nor the frames that it was made in."""
    (error,) = Document(SCHEMA, text, Limits(aliases=1)).errors
    assert (error.nodes, error.__traceback__, error.__context__) == (None, None, None)
    assert error.locations


def test_introspection_passes() -> None:
    """What tools ask for is within every bound."""
    assert errors(get_introspection_query(descriptions=True, input_value_deprecation=True)) == []


def test_the_store_is_bounded_in_number_and_bytes() -> None:
    """The least recently used go first, and what is invalid is kept as well."""
    documents = Documents(SCHEMA, Limits(), max_documents=3)
    kept = documents.get("{ sure }")
    for number in range(5):
        documents.get(f"{{ nope{number} }}")
        assert documents.get("{ sure }") is kept
    assert repr(documents).startswith("<Documents 3, ")
    small = Documents(SCHEMA, Limits(), max_bytes=16_000)
    for number in range(5):
        small.get(f"{{ a{number}: sure }}")
    assert repr(small).startswith("<Documents 2, ")
