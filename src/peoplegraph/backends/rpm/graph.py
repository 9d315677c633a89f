"""RPM in the schema: `Rep`, what belongs to one, and the root fields that read them."""

import enum
from typing import Annotated

import strawberry

from peoplegraph.backends.base import plain
from peoplegraph.backends.batching import load_many
from peoplegraph.backends.rpm import wire
from peoplegraph.backends.rpm.loaders import ByAgency, ByAssignment, ById, RepKey, RpmLoaders
from peoplegraph.backends.rpm.wire import PhoneType
from peoplegraph.context import Info
from peoplegraph.errors import BadInput
from peoplegraph.graph.lookahead import selects_only
from peoplegraph.graph.node import Node
from peoplegraph.graph.paging import check_keys
from peoplegraph.graph.person import Person, PhoneKind, PhoneNumber
from peoplegraph.graph.scoped import scoped
from peoplegraph.scopes import Scope
from peoplegraph.systems import System

BRIEF_FIELDS = frozenset(
    [
        "__typename",
        "id",
        "system",
        "repId",
        "displayName",
        "name",
        "username",
        "userId",
        "managerId",
        "enabled",
        "agency",
    ]
)
"""The fields of a Rep that AgentUsers has."""

_KINDS: dict[int, PhoneKind] = {
    PhoneType.BUSINESS: PhoneKind.BUSINESS,
    PhoneType.HOME: PhoneKind.HOME,
    PhoneType.FAX: PhoneKind.FAX,
    PhoneType.OTHER: PhoneKind.OTHER,
}


@strawberry.enum(description="What a rep is to its agency.")
class RepRelationship(enum.Enum):
    """RPM's relationship, as the schema names it."""

    EMPLOYEE = strawberry.enum_value("EMPLOYEE", description="An employee.")
    SUB_AGENT = strawberry.enum_value("SUB_AGENT", description="A sub-agent.")


@strawberry.type(description="An agency, in RPM.")
class Agency:
    """The agency that a rep belongs to."""

    agency_id: int = strawberry.field(description="RPM's own id of the agency.")
    name: str | None = strawberry.field(description="The agency's name.")
    archived: bool | None = strawberry.field(description="Whether the agency is archived.")


@strawberry.type(description="A supplier, in RPM.")
class Supplier:
    """The supplier that gave out an assignment code."""

    supplier_id: int = strawberry.field(description="RPM's own id of the supplier.")
    name: str | None = strawberry.field(description="The supplier's name.")


@strawberry.type(description="A code under which a supplier knows a rep.")
class AssignmentCode:
    """An entry of `AssignmentCodes`."""

    code: str = strawberry.field(description="The code.")
    supplier: Supplier | None = strawberry.field(description="The supplier that the code is of.")


@strawberry.type(description="A custom field of a rep.")
class RepField:
    """An entry of `Fields`."""

    name: str = strawberry.field(description="The field's name.")
    value: str | None = strawberry.field(description="The field's value.")


@strawberry.type(description="A note on a rep, for staff.")
class StaffNote:
    """An entry of `NotesForStaff`."""

    note: str | None = strawberry.field(description="What the note says.")
    by: str | None = strawberry.field(description="Who wrote it.")
    added_at: str | None = strawberry.field(description="When it was written, as RPM spells it.")


@strawberry.type(description="RPM: a rep of an agency.")
class Rep(Node, Person):
    """A wire record."""

    record: strawberry.Private[wire.Rep]
    contact: strawberry.Private[wire.Contact]

    def key(self) -> str:
        """Return the rep's id."""
        return str(self.record.rep_id)

    @strawberry.field(description="The system that this record is in: RPM.")
    def system(self) -> System:
        return System.RPM

    @strawberry.field(description="RPM's own id of the rep; another id than the user's and the manager's.")
    def rep_id(self) -> int:
        return self.record.rep_id

    @strawberry.field(description="The name to show: `name`, or else first and last name.")
    def display_name(self) -> str | None:
        names = (self.contact.first_name, self.contact.last_name)
        return self.record.rep or " ".join(n for n in names if n) or None

    @strawberry.field(description="The rep's name.")
    def name(self) -> str | None:
        return self.record.rep

    @strawberry.field(description="The form of address.")
    def salutation(self) -> str | None:
        return self.contact.salutation

    @strawberry.field(description="The first name.")
    def first_name(self) -> str | None:
        return self.contact.first_name

    @strawberry.field(description="The last name.")
    def last_name(self) -> str | None:
        return self.contact.last_name

    @strawberry.field(description="The job title.")
    def title(self) -> str | None:
        return self.contact.title

    @strawberry.field(description="The email address.")
    def email(self) -> str | None:
        return self.contact.email

    @strawberry.field(
        description="The phone numbers, at most one for each of RPM's types; a type that is not known here "
        "is OTHER, and keeps its `typeCode`."
    )
    def phone_numbers(self) -> list[PhoneNumber]:
        return [
            PhoneNumber(kind=phone_kind(phone.type), number=phone.number, type_code=phone.type)
            for phone in wire.phone_numbers(self.contact)
            if phone.number
        ]

    @strawberry.field(description="RPM's own id of the contact.")
    def contact_id(self) -> int | None:
        return self.contact.contact_id

    @strawberry.field(description="The name that the rep's user signs in with.")
    def username(self) -> str | None:
        return self.record.username

    @strawberry.field(description="RPM's own id of the rep's user.")
    def user_id(self) -> int | None:
        return self.record.user_id or None

    @strawberry.field(description="RPM's own id of the manager that the rep also is, if it is one.")
    def manager_id(self) -> int | None:
        return self.record.mgr_id or None

    @strawberry.field(description="Whether the rep's user can sign in.")
    def enabled(self) -> bool | None:
        return self.record.enabled

    @strawberry.field(description="Whether commissions are hidden from the rep.")
    def commissions_hidden(self) -> bool | None:
        return self.record.commissions_hidden

    @strawberry.field(description="What the rep is to the agency.")
    def relationship(self) -> RepRelationship | None:
        text = self.record.relationship
        return RepRelationship[wire.relationship(text).name] if text else None

    @strawberry.field(description="RPM's type of the rep.")
    def type(self) -> str | None:
        return self.record.type

    @strawberry.field(description="The agency that the rep belongs to.")
    def agency(self) -> Agency | None:
        record = self.record
        if not record.agency_id:
            return None
        return Agency(agency_id=record.agency_id, name=record.agency, archived=record.agency_archived)

    @strawberry.field(description="The codes under which suppliers know the rep.")
    def assignment_codes(self) -> list[AssignmentCode]:
        return [
            AssignmentCode(
                code=entry.assignment_code,
                supplier=Supplier(supplier_id=entry.supplier_id, name=entry.supplier)
                if entry.supplier_id
                else None,
            )
            for entry in wire.assignment_codes(self.record)
        ]

    @strawberry.field(description="The rep's custom fields.")
    def fields(self) -> list[RepField]:
        return [RepField(name=field.field, value=field.value) for field in wire.fields(self.record)]

    @strawberry.field(description="Notes on the rep, for staff.")
    def notes_for_staff(self) -> list[StaffNote]:
        return [
            StaffNote(note=entry.note, by=entry.by, added_at=entry.added)
            for entry in wire.notes_for_staff(self.record)
        ]

    @strawberry.field(description="When the rep was added, as RPM spells it.")
    def added_at(self) -> str | None:
        return self.record.added

    @strawberry.field(description="When the rep was last changed, as RPM spells it.")
    def modified_at(self) -> str | None:
        return self.record.modified


@strawberry.input(description="A code of a supplier.")
class AssignmentLookup:
    """The keys of a rep by assignment."""

    supplier_id: int = strawberry.field(description="RPM's own id of the supplier.")
    code: str = strawberry.field(description="The supplier's code for the rep.")


@strawberry.input(description="A name within an agency.")
class AgencyRepLookup:
    """The keys of a rep by agency and name."""

    agency_id: int = strawberry.field(description="RPM's own id of the agency.")
    name: str = strawberry.field(description="The rep's name.")


@strawberry.input(one_of=True, description="How a rep is looked up: by exactly one of these.")
class RepLookup:
    """By id, by assignment or by agency and name."""

    rep_id: strawberry.Maybe[int] = strawberry.field(description="RPM's own id of the rep.")
    assignment: strawberry.Maybe[AssignmentLookup] = strawberry.field(description="By a supplier's code.")
    agency_and_name: strawberry.Maybe[AgencyRepLookup] = strawberry.field(
        description="By the agency and the rep's name."
    )

    def rep_key(self) -> RepKey:
        """Return the loader's key."""
        if self.rep_id is not None:
            return ById(self.rep_id.value)
        if self.assignment is not None:
            return ByAssignment(self.assignment.value.supplier_id, plain(self.assignment.value.code))
        assert self.agency_and_name is not None  # noqa: S101  # @oneOf has seen to it
        return ByAgency(self.agency_and_name.value.agency_id, plain(self.agency_and_name.value.name))


def phone_kind(type_code: int) -> PhoneKind:
    """Return the kind of one of RPM's phone types, a type that is not known here included."""
    return _KINDS.get(type_code, PhoneKind.OTHER)


def shape(record: wire.Rep) -> Rep:
    """Return the record as the schema has it."""
    return Rep(record=record, contact=record.contact or wire.NO_CONTACT)


async def load_rep(info: Info, key: RepKey) -> Rep | None:
    """Return a rep, or None if RPM knows none so."""
    record = await info.context.loaders(RpmLoaders).rep.load(key)
    return shape(record) if record else None


async def rep_node(info: Info, key: str) -> Rep | None:
    """Return the rep that a global id leads to."""
    rep_id = int(key) if key.isascii() and key.isdigit() and len(key) <= 10 else 0
    if not 0 < rep_id < 2**31 or str(rep_id) != key:
        raise BadInput(f"{key[:100]!r} is not the id of a rep")
    return await rep_entity(info, rep_id)


async def rep_entity(info: Info, rep_id: int) -> Rep | None:
    """Return the rep with an id, from the list of users where that has all that is selected."""
    if not selects_only(info, ("Rep", "Node", "Person", "_Entity"), BRIEF_FIELDS):
        return await load_rep(info, ById(rep_id))
    record = await info.context.loaders(RpmLoaders).brief.load(rep_id)
    return shape(record) if record else None


@strawberry.type
class Query:
    """RPM's root fields."""

    @scoped(
        Scope.REPS_READ,
        "A rep by its id, by a supplier's code, or by agency and name; null if there is none. One call.",
    )
    async def rep(
        self, info: Info, by: Annotated[RepLookup, strawberry.argument(description="How to look the rep up.")]
    ) -> Rep | None:
        return await load_rep(info, by.rep_key())

    @scoped(
        Scope.REPS_READ,
        "Reps in the order asked for, null where unknown; at most 100. One call for each distinct "
        "id; one call in all where nothing is selected but `id`, `system`, `repId`, `displayName`, `name`, "
        "`username`, `userId`, `managerId`, `enabled` and `agency`, which RPM's list of users has.",
    )
    async def reps(
        self, info: Info, rep_ids: Annotated[list[int], strawberry.argument(description="The reps' ids.")]
    ) -> list[Rep | None]:
        def loaders() -> RpmLoaders:
            return info.context.loaders(RpmLoaders, Scope.REPS_READ)

        check_keys("repIds", rep_ids)
        if selects_only(info, ("Rep", "Node", "Person"), BRIEF_FIELDS):
            return await load_many(lambda: loaders().brief, rep_ids, lambda _, record: shape(record))
        keys: list[RepKey] = [ById(rep_id) for rep_id in rep_ids]
        return await load_many(lambda: loaders().rep, keys, lambda _, record: shape(record))
