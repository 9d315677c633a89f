"""The engine and graphql-core are indistinguishable: operations made up by hand and by hypothesis."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, queries

from tests.engine.chaos import SCHEMA, Chaos
from tests.engine.parity import assert_equal, is_valid

CORPUS = {
    "leaves": "{ place { id count area color odd tags isOpen __typename } }",
    "aliases": "{ a: sure b: sure c: place { x: count y: count } }",
    "fragments": """query { ...Q being { ...B } } fragment Q on Query { place { ...P } place { count } }
      fragment P on Place { id owner { ...B } } fragment B on Being { name ... on Human { nick home { id } } }""",
    "interfaces": "{ beings { __typename name twice friend { name } friends { age } ... on Robot { serial } } }",
    "unions": "{ things { __typename ... on Place { id } ... on Being { name } ... on Human { nick } } }",
    "lists of lists": "{ places { id visitors { ... on Place { tags } } } beings { ... on Robot { matrix } } }",
    "constants": """{ echo(filter: { words: ["a"], limit: 3, maybe: null }, color: Gruen, words: ["x", null],
      ident: 5, odd: "o", ratio: 1) }""",
    "defaults": "{ echo beings(first: 1) { friends { name } } }",
    "typename": "{ __typename t: __typename beings { t: __typename } }",
    "skip": "{ place { id @skip(if: true) count @include(if: true) } sure @skip(if: false) }",
    "nothing": "{ place { id @skip(if: true) } }",
    "deep": "{ being" + " { friend" * 12 + " { name }" + " }" * 12 + " }",
    "deep lists": "{ beings(first: 1)" + " { friends(first: 1)" * 9 + " { name }" + " }" * 9 + " }",
    "mutation": 'mutation { a: note { count } must b: note(text: "x") { owner { name } } }',
}


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
@pytest.mark.parametrize("disorder", [0, 0.2, 0.6])
async def test_every_construct(text: str, disorder: float) -> None:
    """Operations with each construct, resolvers that behave and resolvers that do not."""
    for seed in range(12):
        await assert_equal(SCHEMA, text, lambda seed=seed: Chaos(seed, disorder))  # type: ignore[misc]


VARIABLES: list[tuple[str, dict[str, Any]]] = [
    ("query ($n: Int) { beings(first: $n) { name } }", {}),
    ("query ($n: Int) { beings(first: $n) { name } }", {"n": 1}),
    ("query ($n: Int) { beings(first: $n) { name } }", {"n": None}),
    ("query ($n: Int = 2) { beings(first: $n) { name } }", {}),
    ("query ($n: Int! = 2) { beings(first: $n) { friends(first: $n) { name } } }", {"n": 1}),
    ("query ($f: Filter, $c: Color!) { echo(filter: $f, color: $c) }", {"f": {"words": "w"}, "c": "RED"}),
    ("query ($f: Filter, $c: Color!) { echo(filter: $f, color: $c) }", {"f": None, "c": "Gruen"}),
    ("query ($l: Int!) { echo(filter: { limit: $l, maybe: $l }) }", {"l": 4}),
    ("query ($w: [String]) { echo(words: $w) }", {"w": ["a", None]}),
    ('query ($w: String) { echo(words: [$w, "b"]) }', {"w": "a"}),
    ("query ($i: ID, $o: Odd, $r: Float!) { echo(ident: $i, odd: $o, ratio: $r) }", {"i": 7, "o": "x", "r": 2}),
    (
        "query ($s: Boolean!) { place { id @skip(if: $s) ...P @include(if: $s) } } fragment P on Place { count }",
        {"s": True},
    ),
    (
        "query ($s: Boolean!) { place { id @skip(if: $s) ...P @include(if: $s) } } fragment P on Place { count }",
        {"s": False},
    ),
]


@pytest.mark.parametrize(("text", "variables"), VARIABLES)
async def test_variables(text: str, variables: dict[str, Any]) -> None:
    """Variables that are given, null, left out, in lists and in objects, and in conditions."""
    await assert_equal(SCHEMA, text, lambda: Chaos(1, 0), **variables)


GENERATED = settings(
    max_examples=1200,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    print_blob=True,
)


@GENERATED
@given(queries(str(SCHEMA)), st.integers(0, 10**6), st.sampled_from([0, 0.05, 0.3]))
async def test_generated_queries(text: str, seed: int, disorder: float) -> None:
    """Queries that hypothesis makes up, and resolvers that fail here and there."""
    assume(is_valid(SCHEMA, text))
    await assert_equal(SCHEMA, text, lambda: Chaos(seed, disorder))


@settings(GENERATED, max_examples=300)
@given(mutations(str(SCHEMA)), st.integers(0, 10**6), st.sampled_from([0, 0.05, 0.3]))
async def test_generated_mutations(text: str, seed: int, disorder: float) -> None:
    """Mutations run one behind the other, and end with the first that makes everything null."""
    assume(is_valid(SCHEMA, text))
    await assert_equal(SCHEMA, text, lambda: Chaos(seed, disorder))
