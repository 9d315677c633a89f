"""RPM on the wire: the vendor's names and nullability, and what is assumed where its pages disagree.

Decisions:
- Phone type "Other" is 6: the prose of RepEdit says 4, its samples say 6. An unknown type stays readable.
- `Relationship` is 0 or 1 on write and a word on read, compared without case, hyphens and spaces.
- An id of 0 means that there is none; so does an entry of AgentUsers whose `RepID` is 0.
- AgentUsers has every rep there is: RepAdd makes none without a user, and the list is not paginated.
- `Name` of AgentUsers is what `Rep` calls `Rep`; its `Type` is a number, and not the `Type` of `Rep`.
- `CommissionsHidden` means what it says; the prose beside it says the opposite.
- A merged RepEdit sends the rep as it was read and overlaid, lists whole, fields that are not known here
  included; what RPM itself writes (`SERVER_FIELDS`) is not sent back.
"""

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any

import msgspec

from peoplegraph.backends.answers import unexpected
from peoplegraph.backends.base import decode, document
from peoplegraph.errors import BadResponse
from peoplegraph.systems import System

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""What GraphQL's Int can carry."""

SERVER_FIELDS = frozenset(
    ["Added", "Modified", "Agency", "AgencyID", "AgencyArchived", "NotesForStaff", "Rep", "MgrID", "Type", "UserID"]
)
SERVER_CONTACT_FIELDS = frozenset({"ContactID"})

REP_FIELDS: Mapping[str, str] = {
    "username": "Username",
    "company": "Company",
    "enabled": "Enabled",
    "commissions_hidden": "CommissionsHidden",
    "relationship": "Relationship",
}
"""The fields of a request's `Rep`: our name, and the vendor's."""

CONTACT_FIELDS: Mapping[str, str] = {
    "salutation": "Salutation",
    "first_name": "FirstName",
    "last_name": "LastName",
    "title": "Title",
    "email": "Email",
}
"""The same for `Rep.Contact`."""


class Relationship(IntEnum):
    """What a rep is to its agency; the value is what is written."""

    EMPLOYEE = 0
    SUB_AGENT = 1


class PhoneType(IntEnum):
    """The types of phone number that RPM takes, one number each."""

    BUSINESS = 1
    HOME = 2
    FAX = 3
    OTHER = 6


NULL = msgspec.Raw(b"null")
"""A list that is not there. Lists are decoded when they are asked for: a broken one spoils nothing else."""


class PhoneNumber(msgspec.Struct, frozen=True, rename="pascal"):
    """An entry of `Contact.PhoneNumbers`."""

    type: Int32
    number: str | None = None


class Contact(msgspec.Struct, frozen=True, rename="pascal"):
    """`Contact`."""

    contact_id: Int32 | None = msgspec.field(default=None, name="ContactID")
    salutation: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    email: str | None = None
    phone_numbers: msgspec.Raw = NULL


NO_CONTACT = Contact()


class AssignmentCode(msgspec.Struct, frozen=True, rename="pascal"):
    """An entry of `AssignmentCodes`."""

    assignment_code: str
    supplier: str | None = None
    supplier_id: Int32 | None = msgspec.field(default=None, name="SupplierID")


class Field(msgspec.Struct, frozen=True, rename="pascal"):
    """An entry of `Fields`."""

    field: str
    value: str | None = None


class Note(msgspec.Struct, frozen=True, rename="pascal"):
    """An entry of `NotesForStaff`."""

    note: str | None = None
    added: str | None = None
    by: str | None = None


class Rep(msgspec.Struct, frozen=True, rename="pascal"):
    """`Result` of Rep, RepEdit and RepAdd."""

    rep_id: Int32 = msgspec.field(name="RepID")
    rep: str | None = None
    username: str | None = None
    user_id: Int32 | None = msgspec.field(default=None, name="UserID")
    mgr_id: Int32 | None = msgspec.field(default=None, name="MgrID")
    enabled: bool | None = None
    commissions_hidden: bool | None = None
    relationship: str | None = None
    type: str | None = None
    agency: str | None = None
    agency_id: Int32 | None = msgspec.field(default=None, name="AgencyID")
    agency_archived: bool | None = None
    contact: Contact | None = NO_CONTACT
    assignment_codes: msgspec.Raw = NULL
    fields: msgspec.Raw = NULL
    notes_for_staff: msgspec.Raw = NULL
    added: str | None = None
    modified: str | None = None


class AgentUser(msgspec.Struct, frozen=True, rename="pascal"):
    """An entry of AgentUsers."""

    name: str | None = None
    username: str | None = None
    user_id: Int32 | None = msgspec.field(default=None, name="UserID")
    rep_id: Int32 | None = msgspec.field(default=None, name="RepID")
    mgr_id: Int32 | None = msgspec.field(default=None, name="MgrID")
    agency: str | None = None
    agency_id: Int32 | None = msgspec.field(default=None, name="AgencyID")
    agency_archived: bool | None = None
    enabled: bool | None = None


class _RepAnswer(msgspec.Struct, frozen=True):
    Result: Rep


class _AgentUsers(msgspec.Struct, frozen=True):
    AgentUsers: list[AgentUser]


class _AgentUsersAnswer(msgspec.Struct, frozen=True):
    Result: _AgentUsers


class _Message(msgspec.Struct, frozen=True):
    Message: str


class _Probe(msgspec.Struct, frozen=True):
    Error: str | _Message | None = None


class _ProbeAnswer(msgspec.Struct, frozen=True):
    Result: _Probe


_phone_numbers = msgspec.json.Decoder(list[PhoneNumber] | None)
_assignment_codes = msgspec.json.Decoder(list[AssignmentCode] | None)
_fields = msgspec.json.Decoder(list[Field] | None)
_notes = msgspec.json.Decoder(list[Note] | None)
_rep = msgspec.json.Decoder(_RepAnswer)
_agent_users = msgspec.json.Decoder(_AgentUsersAnswer)
_probe = msgspec.json.Decoder(_ProbeAnswer)


def error_message(body: bytes) -> str | None:
    """Return the message in an answer, which comes with HTTP 200 and in two shapes; None if there is none."""
    error = decode(System.RPM, _probe, body).Result.Error
    return error.Message if isinstance(error, _Message) else error


def rep(body: bytes, rep_id: int | None = None) -> Rep:
    """Decode a rep: the one with `rep_id`, if it was asked for by that."""
    record = decode(System.RPM, _rep, body).Result
    if rep_id not in (None, record.rep_id):
        raise unexpected(System.RPM, "answered with another rep")
    return record


def phone_numbers(contact: Contact) -> list[PhoneNumber]:
    """Read the phone numbers of a contact; raises `BadResponse`, as do the other lists."""
    return decode(System.RPM, _phone_numbers, contact.phone_numbers) or []


def assignment_codes(record: Rep) -> list[AssignmentCode]:
    """Read the assignment codes of a rep."""
    return decode(System.RPM, _assignment_codes, record.assignment_codes) or []


def fields(record: Rep) -> list[Field]:
    """Read the custom fields of a rep."""
    return decode(System.RPM, _fields, record.fields) or []


def notes_for_staff(record: Rep) -> list[Note]:
    """Read the notes on a rep."""
    return decode(System.RPM, _notes, record.notes_for_staff) or []


def agent_users(body: bytes) -> list[Rep]:
    """Decode the reps among the users, with the fields that the list has."""
    users = decode(System.RPM, _agent_users, body).Result.AgentUsers
    return [
        Rep(
            rep_id=user.rep_id,
            rep=user.name,
            username=user.username,
            user_id=user.user_id,
            mgr_id=user.mgr_id,
            enabled=user.enabled,
            agency=user.agency,
            agency_id=user.agency_id,
            agency_archived=user.agency_archived,
        )
        for user in users
        if user.rep_id
    ]


def relationship(text: str) -> Relationship:
    """Read a relationship; raises `BadResponse` for a word that is none of the vendor's."""
    match re.sub(r"[-_\s]", "", text).casefold():
        case "employee":
            return Relationship.EMPLOYEE
        case "subagent":
            return Relationship.SUB_AGENT
        case _:
            raise unexpected(System.RPM, "sent a relationship that is neither Employee nor SubAgent")


def request_document(body: bytes) -> dict[str, Any]:
    """Decode a rep as the `Rep` of a RepEdit that would change nothing.

    Raises `BadResponse` where the answer lacks what an edit would reset if it were left out.
    """
    result = document(System.RPM, body)["Result"]
    record = {name: value for name, value in result.items() if name not in SERVER_FIELDS}
    contact = record.get("Contact") or {}
    record["Contact"] = {
        **{name: value for name, value in contact.items() if name not in SERVER_CONTACT_FIELDS},
        "FirstName": contact.get("FirstName") or "",
        "LastName": contact.get("LastName") or "",
    }
    if not isinstance(record.get("Relationship"), str) or not all(
        isinstance(record.get(name), bool) for name in ("Enabled", "CommissionsHidden")
    ):
        raise BadResponse(System.RPM, "RPM did not say what an edit would reset, so nothing was written")
    record["Relationship"] = int(relationship(record["Relationship"]))
    return record
