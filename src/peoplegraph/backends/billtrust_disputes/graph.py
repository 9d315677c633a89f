"""Disputes in the schema: `Assignee`, `Department`, and the root fields that read them."""

from datetime import datetime
from typing import Annotated

import strawberry

from peoplegraph.backends.answers import unexpected
from peoplegraph.backends.billtrust_disputes import wire
from peoplegraph.backends.billtrust_disputes.loaders import (
    WHOLE_TENANT,
    DisputesLoaders,
    Lookup,
    by_email,
    by_id,
    current_credential,
)
from peoplegraph.context import Info
from peoplegraph.graph.lookahead import is_sole_root_field, selects_anywhere
from peoplegraph.graph.node import Node
from peoplegraph.graph.paging import After, Connection, First, connection, window
from peoplegraph.graph.person import Person, PhoneKind, PhoneNumber, phone_numbers
from peoplegraph.graph.scalars import DateTime
from peoplegraph.graph.scoped import scoped
from peoplegraph.scopes import Scope
from peoplegraph.systems import System

ROSTER_FIELDS = frozenset({"assignees", "defaultAssignee"})
"""The fields that need the list call."""


@strawberry.type(description="A postal address.")
class Address:
    """`person.address`."""

    address1: str | None = strawberry.field(description="The first line of the street address.")
    address2: str | None = strawberry.field(description="The second line of the street address.")
    city: str | None = strawberry.field(description="The city.")
    state: str | None = strawberry.field(description="The state.")
    zip: str | None = strawberry.field(description="The postal code.")
    country: str | None = strawberry.field(description="The country's code.")


@strawberry.type(
    description="Billtrust Disputes: the person at the tenant who works disputes. One record per person and "
    "department."
)
class Assignee(Node, Person):
    """A wire record."""

    record: strawberry.Private[wire.Assignee]
    person: strawberry.Private[wire.Person]

    def key(self) -> str:
        """Return the assignee's id."""
        return self.record.assignee_id

    @strawberry.field(description="The system that this record is in: DISPUTES.")
    def system(self) -> System:
        return System.DISPUTES

    @strawberry.field(description="Disputes' own id of this record.")
    def assignee_id(self) -> str:
        return self.record.assignee_id

    @strawberry.field(description="The tenant.")
    def tenant_id(self) -> str | None:
        return self.record.tenant_id

    @strawberry.field(description="The name to show: first and last name, or the one that there is.")
    def display_name(self) -> str | None:
        return " ".join(n for n in (self.person.first_name, self.person.last_name) if n) or None

    @strawberry.field(description="The first name.")
    def first_name(self) -> str | None:
        return self.person.first_name

    @strawberry.field(description="The last name.")
    def last_name(self) -> str | None:
        return self.person.last_name

    @strawberry.field(description="The email address.")
    def email(self) -> str | None:
        return self.person.email

    @strawberry.field(description="The job title.")
    def title(self) -> str | None:
        return self.person.title

    @strawberry.field(description="The office phone number.")
    def office_phone(self) -> str | None:
        return self.person.office_phone

    @strawberry.field(description="The cell phone number.")
    def cell_phone(self) -> str | None:
        return self.person.cell_phone

    @strawberry.field(description="The fax number.")
    def fax(self) -> str | None:
        return self.person.fax

    @strawberry.field(description="`officePhone`, `cellPhone` and `fax`, those that there are.")
    def phone_numbers(self) -> list[PhoneNumber]:
        return phone_numbers(
            (PhoneKind.BUSINESS, self.person.office_phone),
            (PhoneKind.MOBILE, self.person.cell_phone),
            (PhoneKind.FAX, self.person.fax),
        )

    @strawberry.field(description='The language\'s code: "en".')
    def language(self) -> str | None:
        return self.person.language

    @strawberry.field(description="The time zone, in Disputes' own spelling, which need not be an IANA name.")
    def timezone(self) -> str | None:
        return self.person.timezone

    @strawberry.field(description="The postal address.")
    def address(self) -> Address | None:
        return self.person.address  # type: ignore[return-value]  # the wire's address has the same attributes

    @strawberry.field(description="The Billtrust Platform user that is linked to the assignee.")
    def user_id(self) -> str | None:
        return self.record.user_id

    @strawberry.field(description="The department's id. Costs no call.")
    def department_id(self) -> str | None:
        return self.record.department_id

    @scoped(Scope.ASSIGNEES_READ, "The department: from one call that lists them all.")
    async def department(self, info: Info) -> "Department | None":
        return await load_department(info, self.record.department_id) if self.record.department_id else None

    @strawberry.field(description="Whether the assignee is active.")
    def active(self) -> bool:
        return self.record.active

    @strawberry.field(description="Whether the assignee is notified of every dispute update.")
    def all_updates(self) -> bool:
        return self.record.all_updates

    @strawberry.field(description="Whether the assignee gets a daily summary by email.")
    def daily_digest(self) -> bool:
        return self.record.daily_digest

    @strawberry.field(description="Whether new disputes of the department go to this assignee.")
    def is_default(self) -> bool:
        return self.record.is_default

    @strawberry.field(description="When the record was created.")
    def created_at(self) -> DateTime | None:
        return _date_time(self.record.create_date)

    @strawberry.field(description="The id of the user who created the record.")
    def created_by(self) -> str | None:
        return self.record.create_user

    @strawberry.field(description="When the record was last changed.")
    def updated_at(self) -> DateTime | None:
        return _date_time(self.record.update_date)

    @strawberry.field(description="The id of the user who last changed the record.")
    def updated_by(self) -> str | None:
        return self.record.update_user


@strawberry.type(description="A department of the tenant, in Disputes.")
class Department:
    """A wire record."""

    record: strawberry.Private[wire.Department]

    @strawberry.field(description="Disputes' own id of the department.")
    def department_id(self) -> str:
        return self.record.department_id

    @strawberry.field(description="The tenant's code for the department.")
    def code(self) -> str | None:
        return self.record.code

    @strawberry.field(description="What the department is called.")
    def description(self) -> str | None:
        return self.record.description

    @scoped(Scope.ASSIGNEES_READ, "The department's assignees: from one list call, for however many departments.")
    async def assignees(self, info: Info, first: First = None, after: After = None) -> Connection[Assignee] | None:
        part = window(f"assignees of {self.record.department_id}", first, after)
        return connection(await self._assignees(info), part, shape)

    @scoped(
        Scope.ASSIGNEES_READ,
        "The assignee that new disputes of the department go to, if there is one: from the same "
        "list call as `assignees`.",
    )
    async def default_assignee(self, info: Info) -> Assignee | None:
        return next((shape(a) for a in await self._assignees(info) if a.is_default), None)

    async def _assignees(self, info: Info) -> list[wire.Assignee]:
        loaders = info.context.loaders(DisputesLoaders)
        return await loaders.assignees_of(self.record.department_id, alone=is_sole_root_field(info))


@strawberry.input(one_of=True, description="How an assignee is looked up: by exactly one of these.")
class AssigneeLookup:
    """By id or by email."""

    assignee_id: strawberry.Maybe[str] = strawberry.field(description="Disputes' own id.")
    email: strawberry.Maybe[str] = strawberry.field(
        description="The email address. Of several records with it (one per department), the one that "
        "Disputes picks; the first with it, without case, where many are looked up at once."
    )

    def lookup(self) -> Lookup:
        """Return the loader's key."""
        if self.assignee_id is not None:
            return by_id(self.assignee_id.value)
        assert self.email is not None  # noqa: S101  # @oneOf has seen to it
        return by_email(self.email.value)


def shape(record: wire.Assignee) -> Assignee:
    """Return the record as the schema has it."""
    return Assignee(record=record, person=record.person or wire.NOBODY)


async def load_assignee(info: Info, lookup: Lookup) -> Assignee | None:
    """Return an assignee, or None if Disputes knows none so."""
    loaders = info.context.loaders(DisputesLoaders)
    loaders.look_ahead(info.operation, lambda: selects_anywhere(info, ROSTER_FIELDS))
    record = await loaders.assignee.load(lookup)
    return shape(record) if record else None


async def load_department(info: Info, department_id: str) -> Department | None:
    """Return a department, or None if there is none by that id."""
    record = await info.context.loaders(DisputesLoaders).department(department_id)
    return Department(record=record) if record else None


async def assignee_node(info: Info, key: str) -> Assignee | None:
    """Return the assignee that a global id leads to."""
    return await load_assignee(info, by_id(key))


async def assignee_by_email(info: Info, email: str) -> Assignee | None:
    """Return the assignee with an email address."""
    return await load_assignee(info, by_email(email))


def _date_time(text: str | None) -> DateTime | None:
    if text is None:
        return None
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise unexpected(System.DISPUTES, "sent a date that is not ISO 8601") from None
    return DateTime(text)


DepartmentId = Annotated[str, strawberry.argument(description="The department's id.")]


@strawberry.type
class Query:
    """Disputes' root fields."""

    @scoped(
        Scope.ASSIGNEES_READ,
        "An assignee by id or by email; null if there is none. One call for each of the first three "
        "look-ups of a query, and from the fourth on one list call that answers the rest.",
    )
    async def assignee(
        self,
        info: Info,
        by: Annotated[AssigneeLookup, strawberry.argument(description="How to look the assignee up.")],
    ) -> Assignee | None:
        return await load_assignee(info, by.lookup())

    @scoped(
        Scope.ASSIGNEES_READ,
        "The assignees of the tenant, or of one department, in Disputes' order: from one list "
        "call, however often it is asked for.",
    )
    async def assignees(
        self,
        info: Info,
        department_id: Annotated[
            str | None, strawberry.argument(description="Only those of this department.")
        ] = None,
        active: Annotated[
            bool | None, strawberry.argument(description="Only those that are, or are not, active.")
        ] = None,
        first: First = None,
        after: After = None,
    ) -> Connection[Assignee] | None:
        part = window(f"assignees {department_id=} {active=}", first, after)
        loaders = info.context.loaders(DisputesLoaders)
        records = await loaders.assignees_of(department_id, alone=is_sole_root_field(info))
        if active is not None:
            records = [a for a in records if a.active is active]
        return connection(records, part, shape)

    @scoped(
        Scope.ASSIGNEES_READ,
        "The assignee of the caller: of the owner of the credential that the caller sends in "
        "`X-Billtrust-Api-Key` or `X-Billtrust-Auth`. Without one it is an error, unless the gateway's "
        "settings have it answer for the owner of the gateway's own key. One call.",
    )
    async def current_assignee(self, info: Info) -> Assignee | None:
        credential = current_credential(info.context)
        record = await info.context.loaders(DisputesLoaders).current.load(credential)
        return shape(record) if record else None

    @scoped(
        Scope.ASSIGNEES_READ,
        "A department by its id; null if there is none. One call, for however many departments.",
    )
    async def department(self, info: Info, department_id: DepartmentId) -> Department | None:
        return await load_department(info, department_id)

    @scoped(Scope.ASSIGNEES_READ, "All departments of the tenant. One call.")
    async def departments(self, info: Info) -> list[Department] | None:
        records = await info.context.loaders(DisputesLoaders).departments.load(WHOLE_TENANT)
        return [Department(record=record) for record in records]
