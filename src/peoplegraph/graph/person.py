"""What the people of all systems have in common."""

import asyncio
import enum

import strawberry

from peoplegraph.context import Info
from peoplegraph.graph.scoped import scoped
from peoplegraph.scopes import Scope
from peoplegraph.systems import System


@strawberry.enum(description="What a phone number is for.")
class PhoneKind(enum.Enum):
    """The kinds of phone number; each backend says which of them it has."""

    BUSINESS = strawberry.enum_value("BUSINESS", description="At work.")
    MOBILE = strawberry.enum_value("MOBILE", description="Carried along. RPM has none.")
    HOME = strawberry.enum_value("HOME", description="At home.")
    FAX = strawberry.enum_value("FAX", description="A fax machine.")
    OTHER = strawberry.enum_value("OTHER", description="Anything else, a type that is not known here included.")


@strawberry.type(description="A phone number and what it is for.")
class PhoneNumber:
    """A phone number as its system spells it."""

    kind: PhoneKind = strawberry.field(description="What the number is for.")
    number: str = strawberry.field(description="The number, as its system spells it.")
    type_code: int | None = strawberry.field(
        default=None, description="RPM's own number for the kind; null in the other systems."
    )


def phone_numbers(*numbers: tuple[PhoneKind, str | None]) -> list[PhoneNumber]:
    """Return those numbers that there are."""
    return [PhoneNumber(kind=kind, number=number) for kind, number in numbers if number]


@strawberry.interface(description="Somebody that one of the systems knows.")
class Person:
    """The base of the backends' person types; each overrides every resolver but `counterparts`."""

    @strawberry.field(description="The global id: opaque, stable, and accepted by `node` and `nodes`.")
    def id(self) -> strawberry.ID:
        raise NotImplementedError

    @strawberry.field(description="The system that this record is in.")
    def system(self) -> System:
        raise NotImplementedError

    @strawberry.field(description="The name to show: the full name, or what there is of it.")
    def display_name(self) -> str | None:
        raise NotImplementedError

    @strawberry.field(description="The email address: the only key that people share across the systems.")
    def email(self) -> str | None:
        raise NotImplementedError

    @strawberry.field(description="The job title.")
    def title(self) -> str | None:
        raise NotImplementedError

    @strawberry.field(description="All phone numbers of this person, by kind.")
    def phone_numbers(self) -> list[PhoneNumber]:
        raise NotImplementedError

    @scoped(
        Scope.ASSIGNEES_READ,
        "The same human in the other systems, by email address without case: those that can be "
        "looked up so. Today that is the Disputes assignee of a representative or a rep, in the call that "
        "`assignee` makes; Collections and RPM cannot be searched by email, so they are never in this list. "
        "Empty where there is no email address or nobody has it.",
    )
    async def counterparts(self, info: Info) -> list["Person"] | None:
        return await counterparts(info, self.system(), self.email())


async def find_by_email(info: Info, system: System, email: str | None) -> Person | None:
    """Look `email` up in a system that can be searched by it; without an address nobody is found."""
    backend = info.context.way(system).backend
    if backend.by_email is None or not email:
        return None
    info.context.require(backend.reads)
    return await backend.by_email.load(info, email)


async def counterparts(info: Info, system: System, email: str | None) -> list[Person]:
    """Look `email` up in every other system that can be searched by it."""
    others = [other for other in info.context.configured if other is not system]
    found = await asyncio.gather(*(find_by_email(info, other, email) for other in others))
    return [person for person in found if person is not None]
