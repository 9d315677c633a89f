"""Disputes on the wire: the vendor's names and nullability, and what is assumed where its page is silent.

Decisions:
- One record per person and department. `id` and `assigneeId` carry the same value.
- The four booleans are always there: the page's answer has them, and a missing one is not guessed.
- A merged PUT sends the record as it was read and overlaid, fields that are not known here included; what the
  system itself writes (`SERVER_FIELDS`) is not sent back.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from peoplegraph.backends.answers import unexpected
from peoplegraph.backends.base import UNDECODABLE, decode, document
from peoplegraph.backends.batching import by_key
from peoplegraph.errors import BadResponse
from peoplegraph.systems import System

SERVER_FIELDS = ("id", "assigneeId", "tenantId", "createUser", "createDate", "updateUser", "updateDate")

RECORD_FIELDS: Mapping[str, str] = {
    "department_id": "departmentId",
    "department_code": "departmentCode",
    "user_id": "userId",
    "active": "active",
    "all_updates": "allUpdates",
    "daily_digest": "dailyDigest",
    "is_default": "isDefault",
}
"""The fields of a request's body: our name, and the vendor's."""

PERSON_FIELDS: Mapping[str, str] = {
    "first_name": "firstName",
    "last_name": "lastName",
    "email": "email",
    "office_phone": "officePhone",
    "cell_phone": "cellPhone",
    "fax": "fax",
    "title": "title",
    "language": "language",
    "timezone": "timezone",
}
"""The same for `person`, `address` left out."""

ADDRESS_FIELDS = ("address1", "address2", "city", "state", "zip", "country")


class Address(msgspec.Struct, frozen=True):
    """`person.address`."""

    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None


class Person(msgspec.Struct, frozen=True, rename="camel"):
    """`person`."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    office_phone: str | None = None
    cell_phone: str | None = None
    fax: str | None = None
    title: str | None = None
    address: Address | None = None
    language: str | None = None
    timezone: str | None = None


NOBODY = Person()


class Assignee(msgspec.Struct, frozen=True, rename="camel"):
    """`DisputeAssigneeV1Response`."""

    assignee_id: str
    active: bool
    all_updates: bool
    daily_digest: bool
    is_default: bool
    department_id: str | None = None
    tenant_id: str | None = None
    user_id: str | None = None
    person: Person | None = NOBODY
    create_user: str | None = None
    create_date: str | None = None
    update_user: str | None = None
    update_date: str | None = None

    @property
    def email(self) -> str | None:
        """The address, if there is one."""
        return self.person.email if self.person else None


class Department(msgspec.Struct, frozen=True, rename="camel"):
    """A row of `GET /departments`."""

    department_id: str
    code: str | None = None
    description: str | None = None


class Roster:
    """The assignees of one list call, in Disputes' order, found by key and never by position.

    `broken` says that there were rows that cannot be understood: those that can are still found by key.
    """

    def __init__(self, understood: list[Assignee], *, broken: bool = False) -> None:
        if len({a.assignee_id for a in understood}) < len(understood):
            understood = list(by_key(understood, lambda a: a.assignee_id).values())
        self._understood = understood
        self.broken = broken

    @cached_property
    def by_id(self) -> dict[str, Assignee]:
        """The assignees by id."""
        return {a.assignee_id: a for a in self._understood}

    @cached_property
    def by_email(self) -> dict[str, Assignee]:
        """The assignees by case-folded address; of several with one address, the first."""
        return {a.person.email.casefold(): a for a in reversed(self._understood) if a.person and a.person.email}

    @cached_property
    def _by_department(self) -> dict[str | None, list[Assignee]]:
        departments: dict[str | None, list[Assignee]] = {}
        for assignee in self._understood:
            departments.setdefault(assignee.department_id, []).append(assignee)
        return departments

    def all(self) -> list[Assignee]:
        """Return every assignee once, or raise `BadResponse` if some rows cannot be understood."""
        self._check()
        return self._understood

    def of_department(self, department_id: str) -> list[Assignee]:
        """Return a department's assignees, or raise `BadResponse` if some rows cannot be understood."""
        self._check()
        return self._by_department.get(department_id, [])

    def _check(self) -> None:
        if self.broken:
            raise unexpected(System.DISPUTES, "sent assignees that cannot be understood")


_assignee = msgspec.json.Decoder(Assignee)
_assignees = msgspec.json.Decoder(list[Assignee])
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_departments = msgspec.json.Decoder(list[Department])


def assignee(body: bytes) -> Assignee:
    """Decode a single assignee."""
    return decode(System.DISPUTES, _assignee, body)


def assignees(body: bytes) -> Roster:
    """Decode the bare array of assignees; a row that cannot be understood spoils itself and not the others."""
    try:
        return Roster(decode(System.DISPUTES, _assignees, body))
    except BadResponse:
        rows = decode(System.DISPUTES, _rows, body)
    understood = []
    for row in rows:
        try:
            understood.append(_assignee.decode(row))
        except UNDECODABLE:
            continue
    return Roster(understood, broken=True)


def departments(body: bytes) -> list[Department]:
    """Decode the bare array of departments."""
    return decode(System.DISPUTES, _departments, body)


def request_document(body: bytes) -> dict[str, Any]:
    """Decode a record as the body of a PUT that would change nothing."""
    record = document(System.DISPUTES, body)
    return {name: value for name, value in record.items() if name not in SERVER_FIELDS}
