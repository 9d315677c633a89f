"""Operations that schemathesis makes up from the schema: valid ones with odd values, and ones that are not."""

from collections.abc import AsyncIterator
from functools import reduce

import pytest
import schemathesis
from graphql import (
    FloatValueNode,
    IntValueNode,
    NameNode,
    ObjectFieldNode,
    ValueNode,
    introspection_from_schema,
)
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.graphql import nodes

from tests.fuzz.requests import CORE, KNOWN, mostly
from tests.fuzz.served import FORWARDED, KEY, Served, assert_reply, bounded, serving_gateway

SCHEMA = schemathesis.graphql.from_dict(
    {**introspection_from_schema(CORE)},
    config=SchemathesisConfig.from_dict(
        {
            "dictionaries": {"keys": {"values": KNOWN}, "numbers": {"values": [0, 1, 2, 100, 200, 1001, 1007]}},
            "generation": {
                "dictionaries": {
                    "string": {"dictionary": "keys", "probability": 0.3},
                    "integer": {"dictionary": "numbers", "probability": 0.5},
                }
            },
        }
    ),
)
"""The gateway's schema to schemathesis, with the keys of some records that there are.

Its pytest plugin stays off (see pyproject.toml), and so do `schema.parametrize` and `as_strategy`: with them
hypothesis does not print what it has found any more, in whichever test.
"""

ONE: ValueNode = nodes.Int(1)
FIELDS = [(root, name) for root in SCHEMA for name in SCHEMA[root]]


def as_member(member: tuple[str, ValueNode]) -> ObjectFieldNode:
    """Return a member of an object."""
    return ObjectFieldNode(name=NameNode(value=member[0]), value=member[1])


def deeper(items: st.SearchStrategy[ValueNode]) -> st.SearchStrategy[ValueNode]:
    """Return literals that are one level deeper, or as deep as they were."""
    names = st.from_regex(r"[_A-Za-z][_A-Za-z0-9]{,8}", fullmatch=True)
    return st.one_of(
        items,
        st.lists(items, max_size=4).map(nodes.List),
        st.lists(st.tuples(names, items).map(as_member), max_size=4).map(nodes.Object),
    )


LEAVES: st.SearchStrategy[ValueNode] = st.one_of(
    st.integers().map(nodes.Int),
    st.sampled_from(["-0", "9" * 101, "9" * 5_000]).map(lambda text: IntValueNode(value=text)),
    st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float),
    st.sampled_from(["1e999", "-1E-999"]).map(lambda text: FloatValueNode(value=text)),
    st.text().map(nodes.String),
    st.booleans().map(nodes.Boolean),
    st.just(nodes.Null),
)
NESTED = st.sampled_from([5, 20, 21, 90]).map(
    lambda depth: reduce(lambda node, _: nodes.List([node]), range(depth), ONE)
)
schemathesis.graphql.scalar("JSON", mostly(deeper(deeper(LEAVES)), NESTED))


@pytest.fixture(scope="module")
async def served(pytestconfig: pytest.Config) -> AsyncIterator[Served]:
    """Serve a gateway."""
    async with serving_gateway(upstream_engine=pytestconfig.getoption("--engine")) as served:
        yield served


@pytest.mark.parametrize(("root", "name"), FIELDS)
@bounded(20)
@given(st.data())
async def test_made_up_operations(
    served: Served, caplog: pytest.LogCaptureFixture, root: str, name: str, data: st.DataObject
) -> None:
    """Each is answered, and no system says that it was sent what makes no sense to it."""
    modes = mostly(st.just(GenerationMode.POSITIVE), st.just(GenerationMode.NEGATIVE), times=4)
    case = data.draw(SCHEMA.get_case_strategy(SCHEMA[root][name], generation_mode=data.draw(modes)))
    await served.begin(caplog)
    credentials = {"authorization": f"Bearer {KEY}", **FORWARDED}
    reply = await served.ask(json={"query": case.body}, headers=credentials)
    assert reply.status_code == 200
    assert_reply(reply)
    served.assert_tight(reply.content, repr(reply.headers))
    await served.assert_well(caplog)
    codes = {error["extensions"]["code"] for error in reply.json().get("errors", [])}
    assert codes <= {"BAD_INPUT", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"}
