"""Collections in the schema: `Representative`, its lists, and the root fields that read them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import strawberry

from peoplegraph.backends.answers import unexpected
from peoplegraph.backends.base import plain
from peoplegraph.backends.batching import load_many
from peoplegraph.backends.billtrust_collections import wire
from peoplegraph.backends.billtrust_collections.loaders import CollectionsLoaders
from peoplegraph.backends.billtrust_collections.wire import Sublist
from peoplegraph.context import Info
from peoplegraph.graph.node import Node
from peoplegraph.graph.paging import After, Connection, First, check_keys, connection, window
from peoplegraph.graph.person import Person, PhoneKind, PhoneNumber, find_by_email, phone_numbers
from peoplegraph.graph.scalars import JSON, is_shallow
from peoplegraph.graph.scoped import scoped
from peoplegraph.scopes import Scope
from peoplegraph.systems import System

if TYPE_CHECKING:
    from peoplegraph.backends.billtrust_disputes.graph import Assignee

T = TypeVar("T")


@strawberry.type(description="An account, as Collections names it.")
class Account:
    """Collections returns numbers only."""

    number: str = strawberry.field(description="The account number.")


@strawberry.type(description="A document (an invoice, say), as Collections names it.")
class Document:
    """Collections returns numbers only."""

    number: str = strawberry.field(description="The document number.")


@strawberry.type(
    description="Billtrust Collections: an internal contact, such as a sales representative or an account "
    "manager, to whom reminders escalate."
)
class Representative(Node, Person):
    """A wire record and the reference it was asked for by."""

    record: strawberry.Private[wire.Representative]
    ref: strawberry.Private[str]

    def key(self) -> str:
        """Return the reference."""
        return self.ref

    @strawberry.field(description="The system that this record is in: COLLECTIONS.")
    def system(self) -> System:
        return System.COLLECTIONS

    @strawberry.field(description="The identifier that the tenant chose for the representative.")
    def reference(self) -> str:
        return self.ref

    @strawberry.field(description="The name to show: `name`.")
    def display_name(self) -> str | None:
        return self.record.name

    @strawberry.field(description="The full name.")
    def name(self) -> str | None:
        return self.record.name

    @strawberry.field(description="The email address.")
    def email(self) -> str | None:
        return self.record.email

    @strawberry.field(description="The job title.")
    def title(self) -> str | None:
        return self.record.title

    @strawberry.field(description="The phone number.")
    def phone(self) -> str | None:
        return self.record.phone

    @strawberry.field(description="The mobile phone number.")
    def mobile_phone(self) -> str | None:
        return self.record.mobile_phone

    @strawberry.field(description="The fax number.")
    def fax(self) -> str | None:
        return self.record.fax

    @strawberry.field(description="`phone`, `mobilePhone` and `fax`, those that there are.")
    def phone_numbers(self) -> list[PhoneNumber]:
        return phone_numbers(
            (PhoneKind.BUSINESS, self.record.phone),
            (PhoneKind.MOBILE, self.record.mobile_phone),
            (PhoneKind.FAX, self.record.fax),
        )

    @strawberry.field(description="The language of escalations to this representative, as ISO 639-1.")
    def language(self) -> str | None:
        return self.record.language

    @strawberry.field(description="The department.")
    def department(self) -> str | None:
        return self.record.department

    @strawberry.field(description="The tenant's classification of the representative.")
    def representative_type(self) -> str | None:
        return self.record.representative_type

    @strawberry.field(description="Free text.")
    def extra_info(self) -> str | None:
        return self.record.extra_info

    @strawberry.field(description="The tenant's custom fields: an object whose shape the tenant decides.")
    def custom_fields(self) -> JSON | None:
        if not is_shallow(self.record.custom_fields):
            raise unexpected(System.COLLECTIONS, "sent custom fields that are nested too deeply")
        return cast("JSON | None", self.record.custom_fields)

    @strawberry.field(description="The supervisor's reference. Costs no call.")
    def supervisor_reference(self) -> str | None:
        return self.record.supervisor_representative_reference

    @scoped(Scope.REPRESENTATIVES_READ, "The supervisor, a representative too: one call for each distinct one.")
    async def supervisor(self, info: Info) -> "Representative | None":
        reference = self.record.supervisor_representative_reference
        return await load_representative(info, reference) if reference else None

    @scoped(
        Scope.REPRESENTATIVES_READ,
        "The accounts that the representative is linked to. Costs no further call where the "
        "representative came with fewer than 100; otherwise one for each page of up to 100 that `first` and "
        "`after` need.",
    )
    async def accounts(self, info: Info, first: First = None, after: After = None) -> Connection[Account] | None:
        return await self._linked(info, Sublist.ACCOUNTS, lambda n: Account(number=n), first, after)

    @scoped(
        Scope.REPRESENTATIVES_READ,
        "The documents that the representative is linked to. Costs no further call where the "
        "representative came with fewer than 100; otherwise one for each page of up to 100 that `first` and "
        "`after` need.",
    )
    async def documents(self, info: Info, first: First = None, after: After = None) -> Connection[Document] | None:
        return await self._linked(info, Sublist.DOCUMENTS, lambda n: Document(number=n), first, after)

    @scoped(
        Scope.ASSIGNEES_READ,
        "The Disputes assignee with the same email address, without case. Costs what `assignee` by "
        "email costs: four or more at once are one call.",
    )
    async def assignee(
        self, info: Info
    ) -> Annotated["Assignee", strawberry.lazy("peoplegraph.backends.billtrust_disputes.graph")] | None:
        found = await find_by_email(info, System.DISPUTES, self.record.email)
        return cast("Assignee | None", found)  # Disputes finds assignees

    async def _linked(
        self, info: Info, sublist: Sublist, make: Callable[[str], T], first: int | None, after: str | None
    ) -> Connection[T] | None:
        part = window(f"{sublist} of {self.ref}", first, after)
        whole = wire.embedded(self.record, sublist)
        if whole is not None:
            return connection(whole, part, make)
        loaded = await info.context.loaders(CollectionsLoaders).part(self.ref, sublist, part)
        if loaded is None:
            return None
        return Connection(
            nodes=[make(number) for number in loaded.numbers],
            total_count=loaded.total,
            window=part,
            next_page=loaded.next_page,
        )


async def load_representative(info: Info, reference: str) -> Representative | None:
    """Return a representative, or None if Collections knows none by that reference."""
    record = await info.context.loaders(CollectionsLoaders).representative.load(reference)
    return Representative(record=record, ref=reference) if record else None


async def representative_node(info: Info, key: str) -> Representative | None:
    """Return the representative that a global id leads to."""
    return await load_representative(info, key)


async def account_entity(_: Info, number: str) -> Account:
    """Return the account of a number: it is all that there is to it, and no call tells whether there is one."""
    return Account(number=plain(number))


async def document_entity(_: Info, number: str) -> Document:
    """Return the document of a number, as of an account."""
    return Document(number=plain(number))


@strawberry.type
class Query:
    """Collections' root fields."""

    @scoped(Scope.REPRESENTATIVES_READ, "A representative by its reference; null if there is none. One call.")
    async def representative(
        self, info: Info, reference: Annotated[str, strawberry.argument(description="The reference.")]
    ) -> Representative | None:
        return await load_representative(info, reference)

    @scoped(
        Scope.REPRESENTATIVES_READ,
        "Representatives in the order asked for, null where unknown. One call for each distinct "
        "reference; at most 100.",
    )
    async def representatives(
        self, info: Info, references: Annotated[list[str], strawberry.argument(description="The references.")]
    ) -> list[Representative | None]:
        check_keys("references", references)
        return await load_many(
            lambda: info.context.loaders(CollectionsLoaders, Scope.REPRESENTATIVES_READ).representative,
            references,
            lambda key, record: Representative(record=record, ref=key),
        )
