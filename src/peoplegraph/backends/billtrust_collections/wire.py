"""Collections on the wire: the vendor's names and nullability, and what is assumed where its page is silent.

Decisions:
- The embedded lists are `accounts` and `documents`, of strings, or of objects with `account_number` and
  `document_number`. They are whole when they hold fewer than 100 entries; longer ones may have been cut.
- A page of a sub-list is a bare array, or an object with the array under the list's own name, `items`, `data`
  or `results`, and the total, if any, under `total`, `total_count` or `totalCount`.
- An answer that names a `reference` must name the one that was asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from peoplegraph.backends.answers import unexpected
from peoplegraph.backends.base import decode
from peoplegraph.systems import System

MAX_LIMIT = 100
"""The most entries that a page of a sub-list has, and that an embedded list is trusted to have whole."""

REQUEST_FIELDS: Mapping[str, str] = {
    "name": "name",
    "email": "email",
    "phone": "phone",
    "mobile_phone": "mobile_phone",
    "fax": "fax",
    "language": "language",
    "title": "title",
    "department": "department",
    "representative_type": "representative_type",
    "supervisor_reference": "supervisor_representative_reference",
    "extra_info": "extra_info",
    "custom_fields": "custom_fields",
}
"""The fields of a request's body: our name, and the vendor's."""


class Sublist(StrEnum):
    """The lists that a representative is linked to; the value is the path segment and the key of the list."""

    ACCOUNTS = "accounts"
    DOCUMENTS = "documents"


Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""What GraphQL's Int can carry."""


NULL = msgspec.Raw(b"null")
"""A list that is not there. Lists are decoded when they are asked for: a broken one spoils nothing else."""


class Link(msgspec.Struct, frozen=True):
    """An entry of a list where the vendor sends objects."""

    account_number: str | None = None
    document_number: str | None = None


class Representative(msgspec.Struct, frozen=True):
    """The answer of GET and PATCH `/representatives/{reference}`; `embedded` reads the lists in it."""

    reference: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    mobile_phone: str | None = None
    fax: str | None = None
    language: str | None = None
    title: str | None = None
    department: str | None = None
    representative_type: str | None = None
    supervisor_representative_reference: str | None = None
    extra_info: str | None = None
    custom_fields: Any = None
    accounts: msgspec.Raw = NULL
    documents: msgspec.Raw = NULL


class _Envelope(msgspec.Struct, frozen=True):
    accounts: list[str | Link] | None = None
    documents: list[str | Link] | None = None
    items: list[str | Link] | None = None
    data: list[str | Link] | None = None
    results: list[str | Link] | None = None
    total: Count | None = None
    total_count: Count | None = None
    totalCount: Count | None = None  # noqa: N815  # the vendor's possible spelling


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a sub-list, and the length of the whole list if the vendor told it."""

    numbers: list[str]
    total: Count | None


_representative = msgspec.json.Decoder(Representative)
_names = msgspec.json.Decoder(dict[str, msgspec.Raw])
_links = msgspec.json.Decoder(list[str | Link] | None)
_page = msgspec.json.Decoder(list[str | Link] | _Envelope)
_NAMES = frozenset(field.name for field in msgspec.structs.fields(Representative))
_NOTHING = Representative()


def representative(body: bytes, reference: str) -> Representative:
    """Decode the representative that was asked for as `reference`."""
    record = decode(System.COLLECTIONS, _representative, body)
    if record.reference not in (None, reference):
        raise unexpected(System.COLLECTIONS, "answered with another representative")
    if record == _NOTHING and not _NAMES & decode(System.COLLECTIONS, _names, body).keys():
        raise unexpected(System.COLLECTIONS, "answered with something that is no representative")
    return record


def embedded(record: Representative, sublist: Sublist) -> list[str] | None:
    """Return the numbers of an embedded list, or None if it is not there or may have been cut."""
    raw = record.accounts if sublist is Sublist.ACCOUNTS else record.documents
    links = decode(System.COLLECTIONS, _links, raw)
    if links is None or len(links) >= MAX_LIMIT:
        return None
    return _numbers(links, sublist)


def page(body: bytes, sublist: Sublist, number: int, limit: int) -> Page:
    """Decode page `number`, from 1, of a sub-list that was asked for with `limit`.

    Raises `BadResponse` for a page that is longer than that, or that is not as long as its total says.
    """
    decoded = decode(System.COLLECTIONS, _page, body)
    if isinstance(decoded, list):
        return Page(_checked(decoded, sublist, limit), None)
    own = decoded.accounts if sublist is Sublist.ACCOUNTS else decoded.documents
    links = next((a for a in (own, decoded.items, decoded.data, decoded.results) if a is not None), None)
    if links is None:
        raise unexpected(System.COLLECTIONS, f"answered without a list of {sublist}")
    numbers = _checked(links, sublist, limit)
    totals = (decoded.total, decoded.total_count, decoded.totalCount)
    total = next((t for t in totals if t is not None), None)
    if total is not None and len(numbers) != min(max(total - (number - 1) * limit, 0), limit):
        raise unexpected(System.COLLECTIONS, f"sent a page of {sublist} that contradicts its own total")
    return Page(numbers, total)


def _checked(links: list[str | Link], sublist: Sublist, limit: int) -> list[str]:
    if len(links) > limit:
        raise unexpected(System.COLLECTIONS, f"sent more {sublist} on a page than were asked for")
    return _numbers(links, sublist)


def _numbers(links: list[str | Link], sublist: Sublist) -> list[str]:
    numbers = []
    for link in links:
        if isinstance(link, Link):
            number = link.account_number if sublist is Sublist.ACCOUNTS else link.document_number
        else:
            number = link
        if number is None:
            raise unexpected(System.COLLECTIONS, f"sent {sublist} without their numbers")
        numbers.append(number)
    return numbers
