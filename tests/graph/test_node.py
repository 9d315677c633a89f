"""Global ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peoplegraph.errors import BadInput
from peoplegraph.graph.node import decode_id, decode_opaque, encode_id, encode_opaque


@given(st.text(min_size=1))
def test_every_key_survives(key: str) -> None:
    """Whatever characters a key has, the id leads back to it."""
    assert decode_id(encode_id("Rep", key)) == ("Rep", key)


@given(st.text())
def test_no_two_texts_are_one_id(text: str) -> None:
    """What decodes at all encodes to the same text again: an id has one spelling."""
    decoded = decode_opaque(text)
    assert decoded is None or encode_opaque(decoded) == text


@given(st.binary())
def test_ids_are_url_safe(key: bytes) -> None:
    """An id can stand in a URL as it is."""
    global_id = encode_id("Rep", key.decode("latin-1") or "x")
    assert global_id.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("text", ["", ":", "Rep:", "Rep"])
def test_an_id_has_a_type_and_a_key(text: str) -> None:
    """Text that lacks either is no id."""
    with pytest.raises(BadInput):
        decode_id(encode_opaque(text))
