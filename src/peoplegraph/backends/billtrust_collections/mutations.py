"""Writing to Collections: what each mutation calls, and what it makes of the answer."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import strawberry
from strawberry import Maybe

from peoplegraph.backends.base import named
from peoplegraph.backends.billtrust_collections import wire
from peoplegraph.backends.billtrust_collections.client import INPUT_PATHS
from peoplegraph.backends.billtrust_collections.graph import Representative, load_representative
from peoplegraph.backends.billtrust_collections.loaders import CollectionsLoaders
from peoplegraph.backends.billtrust_collections.wire import REQUEST_FIELDS, Sublist
from peoplegraph.context import Info
from peoplegraph.errors import BadInput, GatewayError, Issue, Refused
from peoplegraph.errors import NotFound as Missing
from peoplegraph.graph.audit import writes
from peoplegraph.graph.scalars import JSON
from peoplegraph.graph.scoped import scoped
from peoplegraph.graph.text import text_issues
from peoplegraph.graph.user_errors import REFUSALS, LinkError, UserError, refuse, user_error
from peoplegraph.scopes import Scope
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer

log = logging.getLogger(__name__)

LINKS_AT_ONCE = 10
MAX_LINKS = 200

Reference = Annotated[str, strawberry.argument(description="The representative's reference.")]


@strawberry.input(
    description="What a representative has. A field left out, `null` and an empty text are three different "
    "things, and go to Collections as they are."
)
class RepresentativeInput:
    """The body of POST, PUT and PATCH."""

    name: Maybe[str | None] = strawberry.field(description="The full name.")
    email: Maybe[str | None] = strawberry.field(description="The email address.")
    phone: Maybe[str | None] = strawberry.field(description="The phone number.")
    mobile_phone: Maybe[str | None] = strawberry.field(description="The mobile phone number.")
    fax: Maybe[str | None] = strawberry.field(description="The fax number.")
    language: Maybe[str | None] = strawberry.field(description="Two letters (ISO 639-1), or empty.")
    title: Maybe[str | None] = strawberry.field(description="The job title.")
    department: Maybe[str | None] = strawberry.field(description="The department.")
    representative_type: Maybe[str | None] = strawberry.field(description="The tenant's classification.")
    supervisor_reference: Maybe[str | None] = strawberry.field(
        description="The supervisor's reference: a representative that exists."
    )
    extra_info: Maybe[str | None] = strawberry.field(description="Free text.")
    custom_fields: Maybe[JSON | None] = strawberry.field(
        description="An object. Collections keeps the custom fields that it does not name, on `replace` too; "
        "one sent empty is cleared."
    )

    def body(self) -> dict[str, Any]:
        """Return the vendor's body, or raise `Invalid` for what is known to be refused."""
        body = named(self, REQUEST_FIELDS)
        issues = text_issues(self)
        if body.get("language") and not re.fullmatch("[A-Za-z]{2}", body["language"]):
            issues.append(Issue(INPUT_PATHS["language"], "A language is two letters (ISO 639-1)"))
        if not isinstance(body.get("custom_fields", {}), dict | None):
            issues.append(Issue(INPUT_PATHS["custom_fields"], "Custom fields are an object"))
        refuse(System.COLLECTIONS, issues)
        return body


Input = Annotated[RepresentativeInput, strawberry.argument(description="What the representative has.")]


@strawberry.type(description="What became of a representative.")
class RepresentativePayload:
    """The outcome of a write; the record is in the answer of PATCH alone, and fetched after the others."""

    created: bool = strawberry.field(
        default=False,
        description="Whether there was none by this reference; not said where the "
        "answer to a first attempt was lost and a second one found what it had made.",
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was written; empty on success."
    )
    ref: strawberry.Private[str]
    answer: strawberry.Private[Answer | None] = None
    answer_is_record: strawberry.Private[bool] = False

    @scoped(
        Scope.REPRESENTATIVES_READ,
        "The representative as it is now; null if nothing was written. Costs a call where the "
        "write's own answer does not have it.",
    )
    async def representative(self, info: Info) -> Representative | None:
        if self.answer is None:
            return None
        if self.answer_is_record and self.answer.body.strip():
            record = wire.representative(self.answer.body, self.ref)
            info.context.loaders(CollectionsLoaders).representative.prime(self.ref, record)
        return await load_representative(info, self.ref)


@strawberry.type(description="Which numbers are linked now, and which could not be.")
class LinkPayload:
    """Each number's own outcome."""

    linked: list[str] = strawberry.field(description="The numbers that are linked now, in the order given.")
    errors: list[LinkError] = strawberry.field(description="The numbers that are not, each with the reason.")
    ref: strawberry.Private[str]

    @scoped(Scope.REPRESENTATIVES_READ, "The representative as it is now. Costs a call.")
    async def representative(self, info: Info) -> Representative | None:
        return await load_representative(info, self.ref)


@strawberry.type
class Mutation:
    """Collections' root fields for writing."""

    @writes(
        Scope.REPRESENTATIVES_WRITE,
        "Creates a representative; one that exists is an error. "
        "Calls POST /representatives/{reference}; GET it if `representative` is asked for.",
    )
    async def create_representative(
        self, info: Info, reference: Reference, input: Input
    ) -> RepresentativePayload | None:
        client = info.context.loaders(CollectionsLoaders).client
        return await _write(info, reference, input, client.post_representative, creates=True)

    @writes(
        Scope.REPRESENTATIVES_WRITE,
        "Creates a representative or replaces it whole: what the input leaves out is reset by "
        "Collections, but for custom fields. "
        "Calls PUT /representatives/{reference}; GET it if `representative` is asked for.",
    )
    async def replace_representative(
        self, info: Info, reference: Reference, input: Input
    ) -> RepresentativePayload | None:
        client = info.context.loaders(CollectionsLoaders).client
        return await _write(info, reference, input, client.put_representative)

    @writes(
        Scope.REPRESENTATIVES_WRITE,
        "Changes what the input names and nothing else; null clears. "
        "Calls PATCH /representatives/{reference}, which answers with the representative.",
    )
    async def update_representative(
        self, info: Info, reference: Reference, input: Input
    ) -> RepresentativePayload | None:
        client = info.context.loaders(CollectionsLoaders).client
        return await _write(info, reference, input, client.patch_representative, answers_record=True)

    @writes(
        Scope.REPRESENTATIVES_WRITE,
        "Links accounts to a representative; one that is linked already stays so. "
        "Calls PUT /representatives/{reference}/accounts/{account_number} for each number, ten at once; "
        "GET the representative if `representative` is asked for. At most 200 numbers.",
    )
    async def link_representative_accounts(
        self,
        info: Info,
        reference: Reference,
        account_numbers: Annotated[list[str], strawberry.argument(description="The account numbers.")],
    ) -> LinkPayload | None:
        return await _link(info, reference, Sublist.ACCOUNTS, account_numbers)

    @writes(
        Scope.REPRESENTATIVES_WRITE,
        "Links documents to a representative; one that is linked already stays so. "
        "Calls PUT /representatives/{reference}/documents/{document_number} for each number, ten at once; "
        "GET the representative if `representative` is asked for. At most 200 numbers.",
    )
    async def link_representative_documents(
        self,
        info: Info,
        reference: Reference,
        document_numbers: Annotated[list[str], strawberry.argument(description="The document numbers.")],
    ) -> LinkPayload | None:
        return await _link(info, reference, Sublist.DOCUMENTS, document_numbers)


async def _write(  # noqa: PLR0913  # what differs between three mutations
    info: Info,
    reference: str,
    input: RepresentativeInput,
    write: Callable[[str, dict[str, Any]], Awaitable[Answer]],
    *,
    creates: bool = False,
    answers_record: bool = False,
) -> RepresentativePayload:
    loaders = info.context.loaders(CollectionsLoaders)
    try:
        answer = await write(reference, input.body())
    except REFUSALS as refusal:
        return RepresentativePayload(ref=reference, errors=[user_error(refusal)])
    finally:
        loaders.forget(reference)
    return RepresentativePayload(
        ref=reference,
        answer=answer,
        answer_is_record=answers_record,
        created=creates or answer.status == 201,
    )


async def _link(info: Info, reference: str, sublist: Sublist, numbers: list[str]) -> LinkPayload:
    if len(numbers) > MAX_LINKS:
        raise BadInput(f"{len(numbers)} numbers, and at most {MAX_LINKS} may be linked at once")
    loaders = info.context.loaders(CollectionsLoaders)
    distinct = list(dict.fromkeys(numbers))
    slots = asyncio.Semaphore(LINKS_AT_ONCE)

    async def link(number: str) -> LinkError | None:
        async with slots:
            try:
                await loaders.client.put_link(reference, sublist, number)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is this number's outcome
                return _link_error(number, error)
            return None

    try:
        outcomes = await asyncio.gather(*map(link, distinct))
    finally:
        loaders.forget(reference)
    return LinkPayload(
        ref=reference,
        linked=[n for n, error in zip(distinct, outcomes, strict=True) if error is None],
        errors=[error for error in outcomes if error is not None],
    )


def _link_error(number: str, error: Exception) -> LinkError:
    if not isinstance(error, GatewayError):
        log.error("linking a number failed", exc_info=error)
        return LinkError(number=number, code="INTERNAL", message="Internal error")
    if isinstance(error, Missing):
        code = "NOT_FOUND"
    elif isinstance(error, Refused):
        code = BadInput.code
    else:
        code = error.code
    return LinkError(number=number, code=code, message=str(error))
