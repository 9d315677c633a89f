"""Writing to RPM: what each mutation calls, and what it makes of the answer."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import strawberry
from strawberry import Maybe
from strawberry.utils.str_converters import to_camel_case

from peoplegraph.backends.base import named
from peoplegraph.backends.rpm import wire
from peoplegraph.backends.rpm.graph import Rep, RepRelationship, shape
from peoplegraph.backends.rpm.loaders import ById, RpmLoaders
from peoplegraph.backends.rpm.wire import CONTACT_FIELDS, REP_FIELDS, PhoneType, Relationship
from peoplegraph.context import Info
from peoplegraph.errors import BadResponse, Issue
from peoplegraph.graph.audit import writes
from peoplegraph.graph.person import PhoneKind
from peoplegraph.graph.scoped import scoped
from peoplegraph.graph.text import text_issues
from peoplegraph.graph.user_errors import REFUSALS, UserError, refuse, user_error
from peoplegraph.scopes import Scope
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer

MAX_PHONE_NUMBERS = 4
NOT_NULL = ("enabled", "commissions_hidden", "relationship", "first_name", "last_name", "is_also_manager")
_BILL = " Enabling a user changes the bill of the current cycle."


@strawberry.input(description="A phone number and what it is for.")
class PhoneNumberInput:
    """An entry of `Contact.PhoneNumbers`."""

    kind: PhoneKind = strawberry.field(description="What the number is for; RPM has no MOBILE.")
    number: str = strawberry.field(description="The number.")


@strawberry.input(description="A custom field of a rep.")
class RepFieldInput:
    """An entry of `Fields`."""

    name: str = strawberry.field(description="The field's name.")
    value: Maybe[str | None] = strawberry.field(description="The field's value.")


@strawberry.input(description="An existing code of a supplier, to give to a rep.")
class AssignmentCodeInput:
    """An entry of `AssignmentCodes`."""

    supplier_id: int = strawberry.field(description="RPM's own id of the supplier.")
    code: str = strawberry.field(description="The code.")


@strawberry.input
class _RepFields:
    """What the `Rep` of RepAdd and that of RepEdit have in common."""

    company: Maybe[str | None] = strawberry.field(description="The company; RPM takes it and never returns it.")
    enabled: Maybe[bool | None] = strawberry.field(
        description="Whether the rep's user can sign in; not null." + _BILL
    )
    commissions_hidden: Maybe[bool | None] = strawberry.field(
        description="Whether commissions are hidden from the rep; not null."
    )
    relationship: Maybe[RepRelationship | None] = strawberry.field(
        description="What the rep is to the agency; not null."
    )
    salutation: Maybe[str | None] = strawberry.field(description="The form of address.")
    title: Maybe[str | None] = strawberry.field(description="The job title.")
    email: Maybe[str | None] = strawberry.field(description="The email address; needed to invite the user.")
    phone_numbers: Maybe[list[PhoneNumberInput] | None] = strawberry.field(
        description="All phone numbers: at most four, one for each kind. On `update`, numbers of a type that "
        "this schema does not know are kept beside them."
    )
    fields: Maybe[list[RepFieldInput] | None] = strawberry.field(description="All custom fields.")
    assignment_codes: Maybe[list[AssignmentCodeInput] | None] = strawberry.field(
        description="All assignment codes."
    )


_THREE_THINGS = "A field left out, `null` and an empty text are three different things, and go to RPM as they are."


@strawberry.input(description="What a rep has. " + _THREE_THINGS)
class RepInput(_RepFields):
    """The `Rep` of RepEdit."""

    username: Maybe[str | None] = strawberry.field(description="The name that the rep's user signs in with.")
    first_name: Maybe[str | None] = strawberry.field(description="The first name; not null.")
    last_name: Maybe[str | None] = strawberry.field(description="The last name; not null.")


@strawberry.input(description="What a new rep has. " + _THREE_THINGS)
class CreateRepInput(_RepFields):
    """The `Rep` of RepAdd."""

    agency_id: int = strawberry.field(description="RPM's own id of the agency that the rep belongs to.")
    username: str = strawberry.field(description="The name that the rep's user signs in with.")
    first_name: str = strawberry.field(description="The first name.")
    last_name: str = strawberry.field(description="The last name.")
    is_also_manager: Maybe[bool | None] = strawberry.field(
        description="Whether the rep is a manager as well; not null."
    )


@strawberry.type(description="What became of a rep.")
class RepPayload:
    """The outcome of a write, whose answer has the rep."""

    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was written; empty on success."
    )
    answer: strawberry.Private[Answer | None] = None
    rep_id: strawberry.Private[int | None] = None

    def record_key(self) -> str | None:
        """Return the id of a rep that was made."""
        if self.answer is None or self.rep_id is not None:
            return None
        try:
            return str(wire.rep(self.answer.body).rep_id)
        except BadResponse:
            return None

    @scoped(Scope.REPS_READ, "The rep as it is now; null if nothing was written.")
    async def rep(self, info: Info) -> Rep | None:
        if self.answer is None:
            return None
        record = wire.rep(self.answer.body, self.rep_id)
        info.context.loaders(RpmLoaders).rep.prime(ById(record.rep_id), record)
        return shape(record)


RepId = Annotated[int, strawberry.argument(description="The rep's id.")]
Input = Annotated[RepInput, strawberry.argument(description="What the rep has.")]
InviteUser = Annotated[
    bool | None,
    strawberry.argument(description="Whether RPM sends the user an email to finish setting up the account."),
]
WebhookEvaluate = Annotated[bool | None, strawberry.argument(description="Whether RPM issues webhook requests.")]


@strawberry.type
class Mutation:
    """RPM's root fields for writing."""

    @writes(Scope.REPS_WRITE, "Creates a rep in an agency. Calls RepAdd." + _BILL)
    async def create_rep(
        self,
        info: Info,
        input: Annotated[CreateRepInput, strawberry.argument(description="What the rep has.")],
        invite_user: InviteUser = False,  # noqa: FBT002  # GraphQL arguments have names
        webhook_evaluate: WebhookEvaluate = False,  # noqa: FBT002
    ) -> RepPayload | None:
        async def write(loaders: RpmLoaders) -> Answer:
            body = _body(input)
            body["AgencyID"] = input.agency_id
            if input.is_also_manager is not None:
                body["IsAlsoManager"] = input.is_also_manager.value
            return await loaders.client.rep_add(body, **_flags(input, invite_user, webhook_evaluate))

        return await _write(info, None, write)

    @writes(
        Scope.REPS_WRITE,
        "Sends the input as it is; `firstName` and `lastName` are needed. What is left out is left "
        "out, and RPM then resets: `enabled` to false (the user cannot sign in any more, and the bill "
        "changes), `commissionsHidden` to false, `relationship` to EMPLOYEE. Calls RepEdit.",
    )
    async def replace_rep(
        self,
        info: Info,
        rep_id: RepId,
        input: Input,
        invite_user: InviteUser = False,  # noqa: FBT002
        webhook_evaluate: WebhookEvaluate = False,  # noqa: FBT002
    ) -> RepPayload | None:
        async def write(loaders: RpmLoaders) -> Answer:
            needed = [("firstName", input.first_name), ("lastName", input.last_name)]
            refuse(System.RPM, [Issue(("input", n), f"{n} is needed") for n, given in needed if given is None])
            body = {"RepID": rep_id, **_body(input)}
            return await loaders.client.rep_edit(body, **_flags(input, invite_user, webhook_evaluate))

        return await _write(info, rep_id, write)

    @writes(
        Scope.REPS_WRITE,
        "Changes what the input names and nothing else; null clears; a list is replaced whole. RPM "
        "has no such call: the gateway reads the rep anew, merges, and writes it whole, `enabled`, "
        "`commissionsHidden` and `relationship` always among it. Calls Rep, then RepEdit.",
    )
    async def update_rep(
        self,
        info: Info,
        rep_id: RepId,
        input: Input,
        invite_user: InviteUser = False,  # noqa: FBT002
        webhook_evaluate: WebhookEvaluate = False,  # noqa: FBT002
    ) -> RepPayload | None:
        async def write(loaders: RpmLoaders) -> Answer:
            changes = _body(input)
            read = await loaders.client.rep({"RepID": rep_id}, past_caches=True)
            wire.phone_numbers(wire.rep(read.body, rep_id).contact or wire.NO_CONTACT)
            merged = merge(wire.request_document(read.body), changes)
            return await loaders.client.rep_edit(merged, **_flags(input, invite_user, webhook_evaluate))

        return await _write(info, rep_id, write)


async def _write(info: Info, rep_id: int | None, write: Callable[[RpmLoaders], Awaitable[Answer]]) -> RepPayload:
    loaders = info.context.loaders(RpmLoaders)
    try:
        return RepPayload(answer=await write(loaders), rep_id=rep_id)
    except REFUSALS as refusal:
        return RepPayload(errors=[user_error(refusal)])
    finally:
        loaders.forget(rep_id)


def _flags(
    input: RepInput | CreateRepInput,
    invite_user: bool | None,  # noqa: FBT001
    webhook_evaluate: bool | None,  # noqa: FBT001
) -> dict[str, bool]:
    """Return the two switches that every write has, of which null is false, and whether it gives codes."""
    return {
        "invite_user": bool(invite_user),
        "webhook_evaluate": bool(webhook_evaluate),
        "gives_codes": input.assignment_codes is not None,
    }


def merge(record: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Overlay `changes` on a rep as it was read: `Contact` field by field, lists whole.

    A phone number keeps its `PhoneNumberID` while its type stays, and one of a type that is not known here
    stays as it was read. Raises `Invalid` if there would be more numbers than RPM takes.
    """
    contact = {**record["Contact"], **changes.get("Contact", {})}
    merged = {**record, **changes, "Contact": contact}
    for name in ("Fields", "AssignmentCodes"):
        if merged.get(name) is None and name in changes:
            merged[name] = []
    if "PhoneNumbers" in changes.get("Contact", {}):
        old = record["Contact"].get("PhoneNumbers") or []
        by_type = {number["Type"]: number for number in old}
        new = [{**by_type.get(number["Type"], {}), **number} for number in contact["PhoneNumbers"] or []]
        kept = [number for number in old if number["Type"] not in list(PhoneType)]
        if len(new) + len(kept) > MAX_PHONE_NUMBERS:
            message = f"RPM takes four numbers, and keeps {len(kept)} of a type that cannot be set here"
            refuse(System.RPM, [Issue(("input", "phoneNumbers"), message)])
        contact["PhoneNumbers"] = new + kept
    return merged


def _body(input: RepInput | CreateRepInput) -> dict[str, Any]:
    """Return the vendor's `Rep`, or raise `Invalid` for what is known to be refused."""
    issues = text_issues(input)
    issues += [
        Issue(("input", name), f"{name} may not be null")
        for attribute in NOT_NULL
        if (given := getattr(input, attribute, None)) is not None and getattr(given, "value", given) is None
        for name in [to_camel_case(attribute)]
    ]
    body = named(input, REP_FIELDS)
    if isinstance(body.get("Relationship"), RepRelationship):
        body["Relationship"] = int(Relationship[body["Relationship"].name])
    contact = named(input, CONTACT_FIELDS)
    if input.phone_numbers is not None:
        numbers = input.phone_numbers.value
        contact["PhoneNumbers"] = numbers and _phone_numbers(numbers, issues)
    if contact:
        body["Contact"] = contact
    if input.fields is not None:
        body["Fields"] = input.fields.value and [_field(field) for field in input.fields.value]
    if input.assignment_codes is not None:
        body["AssignmentCodes"] = input.assignment_codes.value and [
            {"SupplierID": code.supplier_id, "AssignmentCode": code.code} for code in input.assignment_codes.value
        ]
    refuse(System.RPM, issues)
    return body


def _phone_numbers(numbers: list[PhoneNumberInput], issues: list[Issue]) -> list[dict[str, Any]]:
    """Return the vendor's list, adding to `issues` what RPM would refuse of it."""
    entries = []
    for index, phone in enumerate(numbers):
        path = ("input", "phoneNumbers", str(index))
        if index >= MAX_PHONE_NUMBERS:
            issues.append(Issue(path, f"RPM takes at most {MAX_PHONE_NUMBERS} phone numbers"))
        elif phone.kind is PhoneKind.MOBILE:
            issues.append(Issue(path, "RPM has no phone number of kind MOBILE"))
        elif phone.kind in [earlier.kind for earlier in numbers[:index]]:
            issues.append(Issue(path, f"There is a phone number of kind {phone.kind.name} before"))
        else:
            entries.append({"Type": int(PhoneType[phone.kind.name]), "Number": phone.number})
    return entries


def _field(field: RepFieldInput) -> dict[str, Any]:
    entry: dict[str, Any] = {"Field": field.name}
    if field.value is not None:
        entry["Value"] = field.value.value
    return entry
