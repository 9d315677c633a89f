"""Relay connections over lists, be they in hand or in an upstream's pages; cursors are positions in a list."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

import strawberry

from peoplegraph.errors import BadInput
from peoplegraph.graph.node import decode_opaque, encode_opaque

R = TypeVar("R")
T = TypeVar("T")

DEFAULT_FIRST = 100
MAX_FIRST = 200
MAX_KEYS = 100

First = Annotated[
    int | None,
    strawberry.argument(description=f"How many at most: 0 to {MAX_FIRST}, {DEFAULT_FIRST} if left out."),
]
After = Annotated[
    str | None,
    strawberry.argument(description="The cursor of the item before the first one wanted; of this very list."),
]


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that `first` and `after` ask for: `count` items from position `start` on, from 0."""

    list_name: str
    start: int
    count: int

    @property
    def stop(self) -> int:
        """The position behind the last item of the window."""
        return self.start + self.count


def window(list_name: str, first: int | None, after: str | None) -> Window:
    """Read `first` and `after`; raises `BadInput` if one is out of range or the cursor is of another list.

    `list_name` tells the list from every other one in the schema, its arguments and its owner included.
    """
    count = DEFAULT_FIRST if first is None else first
    if not 0 <= count <= MAX_FIRST:
        raise BadInput(f"first: {count} is not between 0 and {MAX_FIRST}")
    return Window(list_name, 0 if after is None else _position(list_name, after) + 1, count)


def cursor(list_name: str, position: int) -> str:
    """Return the cursor of the item at `position`: the same whenever the list is the same."""
    return encode_opaque(f"{_digest(list_name)}:{position}")


def _position(list_name: str, text: str) -> int:
    digest, _, position = (decode_opaque(text) or "").partition(":")
    if not (position.isascii() and position.isdigit()) or len(position) > 15:
        raise BadInput(f"after: {text[:100]!r} is not a cursor")
    if digest != _digest(list_name):
        raise BadInput("after: this cursor is of another list")
    return int(position)


def _digest(list_name: str) -> str:
    return hashlib.blake2b(list_name.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def check_keys(argument: str, keys: Sequence[object]) -> None:
    """Raise `BadInput` where a list of keys is longer than one request may ask for."""
    if len(keys) > MAX_KEYS:
        raise BadInput(f"{argument}: {len(keys)} keys, and at most {MAX_KEYS} may be asked for at once")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Relay's PageInfo; whether there is a next page may take a call, which is made when it is asked for."""

    has_previous_page: bool = strawberry.field(description="Whether there are items before this page.")
    start_cursor: str | None = strawberry.field(description="The first item's cursor; null on an empty page.")
    end_cursor: str | None = strawberry.field(
        description="The last item's cursor, for `after`; null on an empty page."
    )
    next_page: strawberry.Private[bool | Callable[[], Awaitable[bool]]]

    @strawberry.field(
        description="Whether there are items behind this page. On a full page of a list whose length the "
        "upstream does not tell, asking for it costs the call for the next page."
    )
    async def has_next_page(self) -> bool:
        return self.next_page if isinstance(self.next_page, bool) else await self.next_page()


@strawberry.type(description="An item and its place in the list.")
class Edge(Generic[T]):
    """Relay's edge."""

    cursor: str = strawberry.field(description="The item's place in the list, for `after`.")
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    """Relay's connection, with the items themselves beside the edges."""

    nodes: list[T] = strawberry.field(description="The items of this page.")
    total_count: int | None = strawberry.field(
        description="How many items the whole list has; null where the upstream does not tell."
    )
    window: strawberry.Private[Window]
    next_page: strawberry.Private[bool | Callable[[], Awaitable[bool]]]

    @strawberry.field(description="The items of this page, each with its cursor.")
    def edges(self) -> list[Edge[T]]:
        return [Edge(cursor=self._cursor(i), node=node) for i, node in enumerate(self.nodes)]

    @strawberry.field(description="Where this page stands in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo(
            has_previous_page=self.window.start > 0,
            start_cursor=self._cursor(0) if self.nodes else None,
            end_cursor=self._cursor(len(self.nodes) - 1) if self.nodes else None,
            next_page=self.next_page,
        )

    def _cursor(self, index: int) -> str:
        return cursor(self.window.list_name, self.window.start + index)


def connection(items: Sequence[R], part: Window, make: Callable[[R], T]) -> Connection[T]:
    """Return the window of a list that is whole and in hand; `make` shapes the items that are in it."""
    return Connection(
        nodes=[make(item) for item in items[part.start : part.stop]],
        total_count=len(items),
        window=part,
        next_page=len(items) > part.stop,
    )
