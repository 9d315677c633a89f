"""What hypothesis makes up: JSON as text, GraphQL requests in it, and bytes that were good requests once."""

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLOutputType,
    build_schema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from peoplegraph.graph.node import encode_id
from peoplegraph.sandbox.seed import ODD_REFERENCE, account, document, human, reference
from peoplegraph.schema import print_schema

T = TypeVar("T")

CORE = build_schema(print_schema())

ODD_TEXTS = [
    '""',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u0000"',
    '"\\r\\nX: y"',
    '"\\u2028\\u202e"',
    '"../../x?y#z%00"',
    '"%ff"',
    json.dumps("x" * 2_000),
]
ODD_NUMBERS = ["-0", "0.0", "1e5", "1e400", "-1E-999", "2147483648", "9007199254740993", "9" * 101, "9" * 5_000]
CONSTANTS = ["null", "true", "false", "NaN", "-Infinity", "[]", "{}", "nul", "'a'"]

KNOWN = [
    *(reference(1), account(1), document(1), "asg-0001", "dep-01", "BILLING", human(1)[2], ODD_REFERENCE),
    *(
        encode_id(name, key)
        for name in ("Representative", "Rep", "Nope")
        for key in (reference(1), "1001", "9" * 400)
    ),
    *(encode_id("Assignee", "asg-0001"), encode_id("Department", "dep-01")),
]
"""Keys and global ids, most of them of records that there are."""


def mostly(usual: SearchStrategy[T], odd: SearchStrategy[T], times: int = 9) -> SearchStrategy[T]:
    """Return the usual, and once in a while what is odd."""
    return st.sampled_from([True] * times + [False]).flatmap(lambda is_usual: usual if is_usual else odd)


TEXTS = mostly(
    st.sampled_from(KNOWN).map(json.dumps),
    st.sampled_from(ODD_TEXTS) | st.text(max_size=20).map(json.dumps),
    times=2,
)
NUMBERS = mostly(
    st.sampled_from(["0", "1", "5", "200", "1001"]), st.integers().map(str) | st.sampled_from(ODD_NUMBERS), times=2
)


def listed(items: SearchStrategy[str], most: int = 4) -> SearchStrategy[str]:
    """Return arrays of JSON texts."""
    return st.lists(items, max_size=most).map(lambda texts: f"[{','.join(texts)}]")


def as_object(members: Iterable[tuple[str, str]]) -> str:
    """Return a JSON object; a name may be there twice."""
    return f"{{{','.join(f'{json.dumps(name)}:{text}' for name, text in members)}}}"


def deeper(items: SearchStrategy[str]) -> SearchStrategy[str]:
    """Return JSON that is one level deeper, or as deep as it was."""
    return items | listed(items) | st.lists(st.tuples(st.text(max_size=5), items), max_size=4).map(as_object)


ANYTHING = deeper(deeper(st.one_of(TEXTS, NUMBERS, st.sampled_from(CONSTANTS))))
"""JSON of all kinds, and what is nearly JSON."""

NESTED = st.builds(
    lambda depth, opened, closed: opened * depth + "1" + closed * depth,
    st.sampled_from([5, 20, 21, 100, 900, 1_000, 5_000, 100_000]),
    st.sampled_from(["[", '{"a":', '{"query":', '{"variables":']),
    st.sampled_from(["]", "}", ""]),
)


def values(type_: GraphQLInputType, depth: int = 3) -> SearchStrategy[str]:
    """Return values that an input type has, as JSON; once in a while anything."""
    inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    return mostly(_right(inner, depth), ANYTHING, times=20)


def _right(type_: Any, depth: int) -> SearchStrategy[str]:
    if isinstance(type_, GraphQLList):
        return listed(values(type_.of_type, depth))
    if isinstance(type_, GraphQLEnumType):
        return st.sampled_from(list(type_.values)).map(json.dumps)
    if not isinstance(type_, GraphQLInputObjectType):
        return {"Int": NUMBERS, "Boolean": st.sampled_from(["true", "false"]), "JSON": ANYTHING | NESTED}.get(
            type_.name, TEXTS
        )
    members = {name: st.tuples(st.just(name), values(each.type, depth - 1)) for name, each in type_.fields.items()}
    if type_.is_one_of:
        return st.one_of(*members.values()).map(lambda member: as_object([member]))
    needed = [members.pop(name) for name, each in type_.fields.items() if is_required_input_field(each)]
    more = st.lists(st.one_of(*members.values()), max_size=5) if members else st.just([])
    return st.tuples(st.tuples(*needed), more).map(lambda two: as_object([*two[0], *two[1]]))


def selected(type_: GraphQLOutputType, depth: int = 2) -> str:
    """Return a selection of all that a type has, so deep."""
    named = get_named_type(type_)
    if is_leaf_type(named):
        return ""
    if is_abstract_type(named):
        inner = [f"... on {each.name} {selected(each, depth)}" for each in CORE.get_possible_types(named)]
        return f"{{ __typename {' '.join(inner) if depth else ''} }}"
    fields: dict[str, GraphQLField] = getattr(named, "fields", {})
    inner = [
        f"{name} {selected(field.type, depth - 1)}"
        for name, field in fields.items()
        if not any(map(is_required_argument, field.args.values()))
        and (depth > 0 or is_leaf_type(get_named_type(field.type)))
        and name not in ("edges", "counterparts")
    ]
    return f"{{ __typename {' '.join(inner)} }}"


def operation(keyword: str, name: str, field: GraphQLField) -> tuple[str, SearchStrategy[str]]:
    """Return the operation that asks for a field, each argument a variable, and the variables that it may have."""
    declared = ", ".join(f"${each}: {argument.type}" for each, argument in field.args.items())
    passed = ", ".join(f"{each}: ${each}" for each in field.args)
    text = f"{keyword} {f'({declared})' if declared else ''} {{ {name}"
    variables = st.fixed_dictionaries({each: values(argument.type) for each, argument in field.args.items()})
    return (
        f"{text}{f'({passed})' if passed else ''} {selected(field.type)} }}",
        variables.map(lambda given: as_object(given.items())),
    )


OPERATIONS = [
    operation(keyword, name, field)
    for keyword, root in (("query", CORE.query_type), ("mutation", CORE.mutation_type))
    for name, field in (root.fields if root else {}).items()
]
QUERIES = [each for each in OPERATIONS if each[0].startswith("query")]

RARELY = st.sampled_from([False] * 4 + [True])

DOCUMENTS = [
    "{ __typename }",
    "{__typename}",
    "query a { __typename } mutation b { __typename }",
    "subscription { x }",
    "{ __schema { types { name fields { name } } } }",
    "fragment a on Query { ...a } { ...a }",
    "{ a: rep(by: { repId: 1001 }) { fields @skip(if: true) { name } repId @include(if: false) } }",
    "{ reps(repIds: [" + "9" * 5_000 + "]) { repId } }",
    "{" * 10_000,
    "#" * 90_000,
    "\ufeff{ __typename }",
    '{ __type(name: """\\""") { name } }',
]
MEMBERS = ["query", "variables", "operationName", "extensions", "documentId", "doc_id", "id"]
HASH = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"
"""The SHA-256 of `{__typename}`."""

PERSISTED = st.one_of(
    st.sampled_from([f'"{HASH}"', f'"{HASH.upper()}"', '"0"']).map(
        lambda text: f'{{"persistedQuery":{{"version":1,"sha256Hash":{text}}}}}'
    ),
    st.tuples(ANYTHING, ANYTHING).map(
        lambda two: f'{{"persistedQuery":{{"version":{two[0]},"sha256Hash":{two[1]}}}}}'
    ),
)


@st.composite
def requests(draw: DrawFn, operations: Any = OPERATIONS) -> str:
    """Make up a request, of which some members may be anything."""
    text, variables = draw(st.sampled_from(operations))
    documents = mostly(st.just(text), st.sampled_from(DOCUMENTS) | st.text(max_size=50), times=5)
    members = [("query", json.dumps(draw(documents))), ("variables", draw(variables))]
    if draw(RARELY):
        del members[0]
    more = st.tuples(st.sampled_from(MEMBERS), ANYTHING | NESTED) | st.tuples(st.just("extensions"), PERSISTED)
    if draw(RARELY):
        members += draw(st.lists(more, max_size=3))
    return as_object(members)


TOKENS = [
    *(b'\x00 \xff \xed\xa0\x80 \\ud800 \r \n \r\n \r\n\r\n : , { } [ ] " \\ % # 1e999 -1 0 null'.split(b" ")),
    b"0x7fffffff",
    b"9" * 400,
    b"[" * 2_000,
    b" ",
    b"HTTP/1.1",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
]


@st.composite
def spoiled(draw: DrawFn, whole: bytes) -> bytes:
    """Flip a bit, cut, double, drop or put something in: up to four times."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(whole)))
        stop = min(len(whole), start + draw(st.sampled_from([1, 1, 2, 5, 50])))
        before, piece, behind = whole[:start], whole[start:stop], whole[stop:]
        match draw(st.sampled_from(["flip", "cut", "double", "drop", "put", "put"])):
            case "flip" if piece:
                piece = bytes([piece[0] ^ (1 << draw(st.integers(0, 7)))]) + piece[1:]
            case "cut":
                piece = behind = b""
            case "double":
                piece *= draw(st.sampled_from([2, 3, 100]))
            case "drop":
                piece = b""
            case _:
                piece = draw(st.sampled_from(TOKENS) | st.binary(max_size=8))
        whole = before + piece + behind
    return whole
