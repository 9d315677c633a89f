"""Bodies and heads that nobody should send, over real HTTP: each is answered, as GraphQL has answers."""

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.requests import ANYTHING, MEMBERS, NESTED, QUERIES, RARELY, listed, mostly, requests, spoiled
from tests.fuzz.served import (
    FORWARDED,
    KEY,
    Served,
    assert_reply,
    bounded,
    serving_gateway,
)

KINDS = [
    "application/json",
    "application/graphql-response+json",
    "text/event-stream",
    "text/html",
    "*/*",
    "application/*",
    "x",
    "",
]
QUALITIES = ["", ";q=0", ";q=0.5", ";q=1", ";q=nan", ";q=inf", ";q=-1", ";q=1e999", ";q=", ";charset=latin-1", ";"]

VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30).map(
    lambda text: text.strip().encode("latin-1")
)
"""What may stand in a header."""

ACCEPTS = mostly(
    st.sampled_from([b"", b"application/json", b"application/graphql-response+json", b"text/event-stream", b"*/*"]),
    st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(QUALITIES)).map("".join), max_size=4).map(
        lambda parts: ", ".join(parts).strip(" ,").encode()
    )
    | VALUES,
    times=3,
)
CONTENT_TYPES = mostly(
    st.sampled_from([b"application/json", b"application/json; charset=utf-8", b"APPLICATION/JSON;charset=UTF8;;"]),
    st.sampled_from([b"text/plain", b"multipart/form-data", b"application/json;charset=x", b""]) | VALUES,
)
HEADERS = st.fixed_dictionaries(
    {"accept": ACCEPTS},
    optional={
        "authorization": mostly(
            st.just(f"Bearer {KEY}".encode()), st.sampled_from([b"Bearer", b"Basic eDp5"]) | VALUES
        ),
        "x-billtrust-auth": mostly(st.just(FORWARDED["x-billtrust-auth"].encode()), VALUES, times=2),
        "x-deadline-ms": mostly(
            st.sampled_from([b"0", b"1", b"5", b"5000"]), st.sampled_from([b"9" * 11, b"-1", b"\xb2"]) | VALUES
        ),
        "origin": st.sampled_from([b"https://app.example", b"null"]) | VALUES,
        "content-encoding": st.just(b"gzip") | VALUES,
    },
)
BODIES = mostly(
    (requests() | listed(requests(), most=4)).map(str.encode) | requests().map(str.encode).flatmap(spoiled),
    st.binary(max_size=100) | (ANYTHING | NESTED).map(str.encode),
    times=6,
)


@pytest.fixture(scope="module")
async def served(pytestconfig: pytest.Config) -> AsyncIterator[Served]:
    """Serve a gateway."""
    async with serving_gateway(upstream_engine=pytestconfig.getoption("--engine")) as served:
        yield served


@bounded(400)
@given(BODIES, HEADERS, CONTENT_TYPES)
async def test_what_is_posted(
    served: Served, caplog: pytest.LogCaptureFixture, body: bytes, headers: dict[str, bytes], content_type: bytes
) -> None:
    """Whatever is posted is answered: by a result, or by a refusal as GraphQL has errors."""
    await served.begin(caplog)
    reply = await served.ask(content=body, headers={**headers, "content-type": content_type})
    assert_reply(reply)
    served.assert_tight(reply.content, repr(reply.headers))
    await served.assert_well(caplog)


PREFLIGHTED = st.sampled_from([{}, {"apollo-require-preflight": b""}, *[{"apollo-require-preflight": b"1"}] * 4])


@st.composite
def parameters(draw: st.DrawFn) -> bytes:
    """Make up the parameters of a GET, of which some may be anything."""
    text, variables = draw(st.sampled_from(QUERIES))
    pairs = [("query", text), ("variables", draw(variables))]
    if draw(RARELY):
        pairs += draw(st.lists(st.tuples(st.sampled_from(MEMBERS), ANYTHING | st.text(max_size=10)), max_size=3))
    if draw(RARELY):
        del pairs[0]
    return urlencode(pairs).encode()


@bounded(200)
@given(mostly(parameters() | parameters().flatmap(spoiled), st.binary(max_size=50)), HEADERS, PREFLIGHTED)
async def test_what_is_got(
    served: Served,
    caplog: pytest.LogCaptureFixture,
    query: bytes,
    headers: dict[str, bytes],
    preflighted: dict[str, bytes],
) -> None:
    """Whatever a GET asks for is answered; without a header that a page cannot send, it is refused."""
    await served.begin(caplog)
    reply = await served.ask("GET", query, headers={**headers, **preflighted})
    assert_reply(reply)
    if not preflighted.get("apollo-require-preflight"):
        assert reply.status_code != 200 or reply.headers["content-type"].startswith("text/html")
    assert [call for call in served.sandbox.ledger.calls if call.method not in ("GET", "POST")] == []
    served.assert_tight(reply.content, repr(reply.headers))
    await served.assert_well(caplog)
