"""Writing to Disputes: what each mutation calls, and what it makes of the answer."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import strawberry
from strawberry import Maybe

from peoplegraph.backends.answers import unexpected
from peoplegraph.backends.base import named
from peoplegraph.backends.billtrust_disputes import wire
from peoplegraph.backends.billtrust_disputes.graph import Assignee, AssigneeLookup, shape
from peoplegraph.backends.billtrust_disputes.loaders import DisputesLoaders, Lookup, by_email, by_id
from peoplegraph.backends.billtrust_disputes.wire import ADDRESS_FIELDS, PERSON_FIELDS, RECORD_FIELDS
from peoplegraph.context import Info
from peoplegraph.errors import BadResponse, Forbidden, Issue, Refused
from peoplegraph.graph.audit import writes
from peoplegraph.graph.scoped import scoped
from peoplegraph.graph.text import text_issues
from peoplegraph.graph.user_errors import REFUSALS, UserError, refuse, user_error
from peoplegraph.scopes import Scope
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer

BOOLEANS = ("active", "allUpdates", "dailyDigest", "isDefault")


@strawberry.input(description="A postal address. On `update`, what is left out stays as it is.")
class AddressInput:
    """`person.address`."""

    address1: Maybe[str | None] = strawberry.field(description="The first line of the street address.")
    address2: Maybe[str | None] = strawberry.field(description="The second line of the street address.")
    city: Maybe[str | None] = strawberry.field(description="The city.")
    state: Maybe[str | None] = strawberry.field(description="The state.")
    zip: Maybe[str | None] = strawberry.field(description="The postal code.")
    country: Maybe[str | None] = strawberry.field(description="The country's code.")


_FILLED_IN = " With `userId`, Disputes fills it in from the user after every write: what is set here is lost."


@strawberry.input(
    description="What an assignee has. `userId` or `email` is needed. A field left out, `null` and an empty text "
    "are three different things, and go to Disputes as they are."
)
class AssigneeInput:
    """The body of POST and PUT; the fields of `person` are on the same level here."""

    department_id: Maybe[str | None] = strawberry.field(description="The department's id.")
    department_code: Maybe[str | None] = strawberry.field(
        description="The department's code, instead of its id. With `by.assigneeId` it is an InvalidInput error."
    )
    user_id: Maybe[str | None] = strawberry.field(
        description="The Billtrust Platform user to link: Disputes then fills in the person's own fields."
    )
    active: Maybe[bool | None] = strawberry.field(description="Whether the assignee is active; not null.")
    all_updates: Maybe[bool | None] = strawberry.field(
        description="Whether the assignee is notified of every dispute update; not null."
    )
    daily_digest: Maybe[bool | None] = strawberry.field(
        description="Whether the assignee gets a daily summary by email; not null."
    )
    is_default: Maybe[bool | None] = strawberry.field(
        description="Whether new disputes of the department go to this assignee; not null. True clears it on "
        "every other assignee of the department."
    )
    first_name: Maybe[str | None] = strawberry.field(description="The first name." + _FILLED_IN)
    last_name: Maybe[str | None] = strawberry.field(description="The last name." + _FILLED_IN)
    email: Maybe[str | None] = strawberry.field(description="The email address." + _FILLED_IN)
    office_phone: Maybe[str | None] = strawberry.field(description="The office phone number." + _FILLED_IN)
    cell_phone: Maybe[str | None] = strawberry.field(description="The cell phone number." + _FILLED_IN)
    fax: Maybe[str | None] = strawberry.field(description="The fax number." + _FILLED_IN)
    title: Maybe[str | None] = strawberry.field(description="The job title." + _FILLED_IN)
    language: Maybe[str | None] = strawberry.field(
        description='The language\'s code: "en". Not checked.' + _FILLED_IN
    )
    timezone: Maybe[str | None] = strawberry.field(
        description="The time zone, in Disputes' own spelling. Not checked." + _FILLED_IN
    )
    address: Maybe[AddressInput | None] = strawberry.field(description="The postal address." + _FILLED_IN)

    def body(self, by: AssigneeLookup | None = None) -> dict[str, Any]:
        """Return the vendor's body, or raise `Invalid` for what no record that it meets could mend.

        `by` tells how the record to write to is found.
        """
        body = named(self, RECORD_FIELDS)
        person = named(self, PERSON_FIELDS)
        if self.address is not None:
            address = self.address.value
            person["address"] = address and named(address, dict(zip(ADDRESS_FIELDS, ADDRESS_FIELDS, strict=True)))
        if person:
            body["person"] = person
        issues = text_issues(self)
        issues += [
            Issue(("input", name), f"{name} may not be null")
            for name in BOOLEANS
            if name in body and body[name] is None
        ]
        if by is not None and by.assignee_id is not None and "departmentCode" in body:
            message = "departmentCode is not accepted with by.assigneeId; use departmentId"
            issues.append(Issue(("input", "departmentCode"), message))
        elif body.get("departmentId") is not None and body.get("departmentCode") is not None:
            issues.append(Issue(("input", "departmentCode"), "Either departmentId or departmentCode, not both"))
        refuse(System.DISPUTES, issues)
        return body


@strawberry.input(description="An assignee by email address in one department.")
class DepartmentEmail:
    """The keys of Disputes' delete by email."""

    department_code: str = strawberry.field(description="The department's code.")
    email: str = strawberry.field(description="The email address.")


@strawberry.input(one_of=True, description="Which assignee to delete: by exactly one of these.")
class AssigneeDeletion:
    """By id, or by email within a department."""

    assignee_id: Maybe[str] = strawberry.field(description="Disputes' own id.")
    department_email: Maybe[DepartmentEmail] = strawberry.field(description="By email in one department.")


@strawberry.type(description="What became of an assignee.")
class AssigneePayload:
    """The outcome of a write, whose answer has the record; `again` is how it is had if it does not."""

    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was written; empty on success."
    )
    answer: strawberry.Private[Answer | None] = None
    again: strawberry.Private[Callable[[], Awaitable[wire.Assignee]] | None] = None
    assignee_id: strawberry.Private[str | None] = None

    def record_key(self) -> str | None:
        """Return the id of an assignee that was made, or written to by its email address."""
        if self.answer is None or self.assignee_id is not None:
            return self.assignee_id
        try:
            return wire.assignee(self.answer.body).assignee_id
        except BadResponse:
            return None

    @scoped(
        Scope.ASSIGNEES_READ,
        "The assignee as it is now; null if nothing was written. Costs a call where the write's own "
        "answer does not have it.",
    )
    async def assignee(self, info: Info) -> Assignee | None:
        if self.answer is None:
            return None
        if not self.answer.body.strip() and self.again:
            return shape(await self.again())
        record = wire.assignee(self.answer.body)
        if self.assignee_id not in (None, record.assignee_id):
            raise unexpected(System.DISPUTES, "answered with another assignee")
        info.context.loaders(DisputesLoaders).assignee.prime(by_id(record.assignee_id), record)
        return shape(record)


@strawberry.type(description="What became of a deletion.")
class DeleteAssigneePayload:
    """The outcome of a delete."""

    deleted: bool = strawberry.field(description="Whether there was such an assignee, and is none any more.")
    errors: list[UserError] = strawberry.field(description="Why nothing was deleted; empty on success.")


Input = Annotated[AssigneeInput, strawberry.argument(description="What the assignee has.")]
By = Annotated[AssigneeLookup, strawberry.argument(description="Which assignee to write to.")]


@strawberry.type
class Mutation:
    """Disputes' root fields for writing."""

    @writes(Scope.ASSIGNEES_WRITE, "Creates an assignee. Calls POST /assignees, which answers with it.")
    async def create_assignee(self, info: Info, input: Input) -> AssigneePayload | None:
        loaders = info.context.loaders(DisputesLoaders)
        try:
            body = input.body()
            _check_identity(body)
            answer = await loaders.client.post_assignee(body)
        except REFUSALS as refusal:
            return _refused(refusal)
        finally:
            loaders.forget()
        return AssigneePayload(answer=answer, again=lambda: loaders.find_created(body))

    @writes(
        Scope.ASSIGNEES_WRITE,
        "Replaces an assignee whole: whatever the input leaves out is reset by Disputes; `active`, "
        "`allUpdates` and `dailyDigest` become false. "
        "Calls PUT /assignees/{id} or PUT /assignees/by-email/{email}.",
    )
    async def replace_assignee(self, info: Info, by: By, input: Input) -> AssigneePayload | None:
        loaders = info.context.loaders(DisputesLoaders)
        lookup = by.lookup()
        try:
            body = input.body(by)
            _check_identity(body)
            return await _put(loaders, lookup, body, lookup.key if lookup.by == "id" else None)
        except REFUSALS as refusal:
            return _refused(refusal)
        finally:
            loaders.forget()

    @writes(
        Scope.ASSIGNEES_WRITE,
        "Changes what the input names and nothing else; null clears; `address` changes field by "
        "field. Disputes has no such call: the gateway reads the assignee anew, merges and writes it whole. "
        "Calls GET /assignees/{id} or GET /assignees/by-email/{email}, then PUT /assignees/{id}; with "
        "`departmentCode`, PUT /assignees/by-email/{email}.",
    )
    async def update_assignee(self, info: Info, by: By, input: Input) -> AssigneePayload | None:
        loaders = info.context.loaders(DisputesLoaders)
        lookup = by.lookup()
        try:
            changes = input.body(by)
            if input.email and input.user_id:
                _check_identity(changes)
            record, body = await loaders.read(lookup)
            merged = merge(wire.request_document(body), changes)
            _check_identity(merged)
            # the very record that was read is written to, unless only the call by email takes the code
            target = lookup if "departmentCode" in changes else by_id(record.assignee_id)
            return await _put(loaders, target, merged, record.assignee_id)
        except REFUSALS as refusal:
            return _refused(refusal)
        finally:
            loaders.forget()

    @writes(
        Scope.ASSIGNEES_WRITE,
        "Deletes an assignee. Repeating it does no harm: it answers `deleted: false` and NotFound. "
        "Calls DELETE /assignees/{id} or DELETE "
        "/departments/by-code/{departmentCode}/assignees/by-email/{email}.",
    )
    async def delete_assignee(
        self,
        info: Info,
        by: Annotated[AssigneeDeletion, strawberry.argument(description="Which assignee to delete.")],
    ) -> DeleteAssigneePayload | None:
        loaders = info.context.loaders(DisputesLoaders)
        try:
            if by.department_email is not None:
                key = by.department_email.value
                await loaders.client.delete_assignee_by_email(key.department_code, key.email)
            elif by.assignee_id is not None:
                await loaders.client.delete_assignee(by.assignee_id.value)
        except REFUSALS as refusal:
            return DeleteAssigneePayload(deleted=False, errors=[user_error(refusal)])
        finally:
            loaders.forget()
        return DeleteAssigneePayload(deleted=True, errors=[])


def merge(record: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Overlay `changes` on a record as it was read: `person` and its `address` field by field.

    A `departmentCode` takes the place of the record's `departmentId`.
    """
    person = record.get("person") or {}
    changed = changes.get("person", {})
    merged = {**record, **changes, "person": {**person, **changed}}
    if changed.get("address") is not None:
        lines = {**(person.get("address") or {}), **changed["address"]}
        merged["person"]["address"] = lines or person.get("address")
    if changes.get("departmentCode") is not None:
        merged.pop("departmentId", None)
    return merged


def _check_identity(body: dict[str, Any]) -> None:
    if not body.get("userId") and not (body.get("person") or {}).get("email"):
        refuse(System.DISPUTES, [Issue(("input",), "Either userId or email is needed")])


async def _put(
    loaders: DisputesLoaders, target: Lookup, body: dict[str, Any], assignee_id: str | None
) -> AssigneePayload:
    """Write to `target`, which is the assignee with that id, where it is known."""
    if target.by == "id":
        answer = await loaders.client.put_assignee(target.key, body)
    else:
        answer = await loaders.client.put_assignee_by_email(target.spelled, body)
    written = by_id(assignee_id) if assignee_id else by_email(body.get("person", {}).get("email") or target.spelled)
    return AssigneePayload(answer=answer, again=lambda: loaders.reread(written), assignee_id=assignee_id)


def _refused(refusal: Refused | Forbidden) -> AssigneePayload:
    return AssigneePayload(errors=[user_error(refusal)])
