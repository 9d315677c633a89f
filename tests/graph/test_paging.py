"""Windows, cursors and connections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peoplegraph.errors import BadInput
from peoplegraph.graph.paging import MAX_FIRST, connection, cursor, window


@given(st.integers(0, 500), st.integers(1, MAX_FIRST), st.text(max_size=20))
def test_walking_by_cursor_meets_every_item_once(length: int, first: int, name: str) -> None:
    """Page after page a connection gives the whole list, in order, and knows its end."""
    seen: list[int] = []
    after = None
    while True:
        page = connection(range(length), window(name, first, after), lambda n: n)
        assert page.total_count == length
        seen += page.nodes
        info = page.page_info()
        assert info.has_previous_page is (len(seen) > len(page.nodes))
        if not info.next_page:
            break
        after = info.end_cursor
    assert seen == list(range(length))


@given(st.text(max_size=20), st.integers(0, 10**9))
def test_a_cursor_leads_to_the_item_behind_it(name: str, position: int) -> None:
    """The cursor of an item begins the page at the next one."""
    assert window(name, 1, cursor(name, position)).start == position + 1


@given(st.text(), st.text(), st.integers(0, 10))
def test_a_cursor_is_of_one_list(name: str, other: str, position: int) -> None:
    """Where names differ, cursors are refused."""
    if name != other:
        with pytest.raises(BadInput, match="another list"):
            window(other, 1, cursor(name, position))


@given(st.text())
def test_arbitrary_text_is_no_cursor(text: str) -> None:
    """Text that nobody got from here is refused as BAD_INPUT, whatever it is."""
    with pytest.raises(BadInput):
        window("a list", 1, text)
