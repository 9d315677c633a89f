"""Which pages of a sub-list cover a window."""

from hypothesis import given
from hypothesis import strategies as st

from peoplegraph.backends.billtrust_collections.loaders import plan_pages


@given(st.integers(0, 10_000), st.integers(1, 200))
def test_the_pages_cover_the_window_and_are_the_fewest(start: int, count: int) -> None:
    """The pages hold the whole window, no page beside it, and no other limit needs fewer."""
    limit, first, last = plan_pages(start, count)
    assert 1 <= limit <= 100
    assert (first - 1) * limit <= start < first * limit
    assert (last - 1) * limit < start + count <= last * limit
    fewest = min((start + count - 1) // n - start // n + 1 for n in range(1, 101))
    assert last - first + 1 == fewest


@given(st.integers(0, 100))
def test_full_pages_where_they_are_as_few(page: int) -> None:
    """A window that is a full page is that page."""
    assert plan_pages(page * 100, 100) == (100, page + 1, page + 1)


@given(st.integers(0, 10_000))
def test_an_empty_window_has_no_pages(start: int) -> None:
    """Nothing is covered by nothing, and the page behind it holds `start`."""
    limit, first, last = plan_pages(start, 0)
    assert last < first
    assert last * limit <= start < (last + 1) * limit
