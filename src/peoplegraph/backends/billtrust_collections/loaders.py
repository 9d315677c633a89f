"""Collections' loaders: what one request has asked for, in the fewest calls."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from peoplegraph.backends.batching import Each
from peoplegraph.backends.billtrust_collections import wire
from peoplegraph.backends.billtrust_collections.client import CollectionsClient
from peoplegraph.backends.billtrust_collections.wire import MAX_LIMIT, Page, Sublist
from peoplegraph.context import Context
from peoplegraph.errors import NotFound
from peoplegraph.graph.paging import Window


class PageKey(NamedTuple):
    """A page of a sub-list; `page` counts from 1."""

    reference: str
    sublist: Sublist
    page: int
    limit: int


@dataclass(frozen=True, slots=True)
class Part:
    """The numbers in a window of a sub-list, and what the pages told about the rest of the list."""

    numbers: list[str]
    total: int | None
    next_page: bool | Callable[[], Awaitable[bool]]


class CollectionsLoaders:
    """One request's view of Collections.

    `representative` costs one GET for each distinct reference, however often and by whatever route it is
    asked for. A page of a sub-list costs one GET, too.
    """

    def __init__(self, client: CollectionsClient) -> None:
        self.client = client
        self.representative = Each(self._get_representative)
        self._page = Each(self._get_page)

    def forget(self, reference: str) -> None:
        """Drop what was loaded of a representative that has been, or may have been, written to."""
        self.representative.clear(reference)
        self._page.clear_where(lambda key: key.reference == reference)

    async def part(self, reference: str, sublist: Sublist, window: Window) -> Part | None:
        """Page through a sub-list for `window`: one page after the other, and none behind the list's end.

        None if there is no such representative.
        """
        limit, first_page, last_page = plan_pages(window.start, window.count)
        base = (first_page - 1) * limit
        numbers: list[str] = []
        total = None
        ended = False
        for number in range(first_page, last_page + 1):
            page = await self._page.load(PageKey(reference, sublist, number, limit))
            if page is None:
                return None
            numbers += page.numbers
            total = page.total
            if len(page.numbers) < limit:
                ended = True
                if total is None and (numbers or number == 1):
                    total = base + len(numbers)
                break
        wanted = numbers[window.start - base : window.stop - base]
        if total is not None:
            return Part(wanted, total, next_page=total > window.stop)
        if ended or base + len(numbers) > window.stop:
            return Part(wanted, None, next_page=not ended)

        async def next_page() -> bool:
            page = await self._page.load(PageKey(reference, sublist, last_page + 1, limit))
            return page is not None and len(page.numbers) > window.stop - last_page * limit

        return Part(wanted, None, next_page)

    async def _get_representative(self, reference: str) -> wire.Representative | None:
        try:
            answer = await self.client.get_representative(reference)
        except NotFound:
            return None
        return wire.representative(answer.body, reference)

    async def _get_page(self, key: PageKey) -> Page | None:
        try:
            answer = await self.client.get_page(*key)
        except NotFound:
            return None
        return wire.page(answer.body, key.sublist, key.page, key.limit)


def plan_pages(start: int, count: int) -> tuple[int, int, int]:
    """Return the limit with which the fewest pages cover `count` items from `start`, and the pages' range.

    The full limit wins where it needs no more pages than another, since its pages are shared most. A range
    of no items has no pages, and stands before the page that holds `start`.
    """
    if count == 0:
        return MAX_LIMIT, start // MAX_LIMIT + 1, start // MAX_LIMIT
    stop = start + count

    def pages(limit: int) -> int:
        return (stop - 1) // limit - start // limit + 1

    limit = min(range(MAX_LIMIT, 0, -1), key=pages)
    return limit, start // limit + 1, (stop - 1) // limit + 1


async def check(context: Context) -> None:
    """Ask for a representative that there hardly is: Collections lists none, and 404 is an answer, too."""
    with suppress(NotFound):
        await context.loaders(CollectionsLoaders).client.get_representative("peoplegraph-doctor")
