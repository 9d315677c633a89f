"""Paths and bodies."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peoplegraph.backends.base import encode, filled
from peoplegraph.errors import BadInput
from peoplegraph.systems import System
from peoplegraph.upstream.call import Endpoint

VISIBLE = st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp"))


@given(st.lists(st.text(VISIBLE, min_size=1), min_size=1, max_size=4))
def test_every_segment_arrives_as_it_was(segments: list[str]) -> None:
    """Whatever a key has in it, it is one segment, and decodes to itself."""
    names = "".join(f"/{{key{number}}}" for number in range(len(segments)))
    encoded = filled(Endpoint(System.RPM, "GET", names), segments)
    assert encoded.isascii()
    assert [unquote(segment) for segment in encoded.split("/")[1:]] == segments
    assert not {".", ".."} & set(encoded.split("/"))


@pytest.mark.parametrize("key", ["", "\ud800", "a\0", "a\nb", "\x7f", "\x85", "\u2028", "x" * 2001, "é" * 1001])
def test_what_cannot_be_a_segment_is_refused(key: str) -> None:
    """The empty text, a lone surrogate, control characters and absurd lengths are BAD_INPUT."""
    with pytest.raises(BadInput):
        filled(Endpoint(System.RPM, "GET", "/a/{key}"), [key])


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf"), {"a": "\udfff"}])
def test_what_json_cannot_carry_is_refused(value: object) -> None:
    """A lone surrogate and a number that is none are BAD_INPUT, and not sent as something else."""
    with pytest.raises(BadInput):
        encode({"value": value})


def test_big_numbers_are_carried() -> None:
    """A custom field's number is sent with all its digits."""
    assert encode({"n": 2**70}) == b'{"n":1180591620717411303424}'
