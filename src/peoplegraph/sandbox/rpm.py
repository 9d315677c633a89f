"""RPM, emulated from its page "API RepEdit" and the pages "Rep", "RepAdd" and "AgentUsers".

Decided where the pages are silent: a RepEdit that leaves out a field without a printed default keeps it, and one
that sends a list replaces it; a phone type that the record has already may stay; `Rep` answers errors in one of
the two shapes, the other endpoints in the other.
"""

import itertools
import re
from typing import Any, ClassVar

from peoplegraph.sandbox.http import Reply, Request, System
from peoplegraph.sandbox.store import Record, Store

KEY = "sandbox-rpm-key"
REP_ONLY_KEY = "sandbox-rpm-rep-only-key"

PHONE_TYPES = (1, 2, 3, 6)
CONTACT_FIELDS = ("Salutation", "FirstName", "LastName", "Title", "Email")
RELATIONSHIPS = ("Employee", "Sub-agent")


class RpmError(Exception):
    """An error, which RPM answers with HTTP 200."""


class Rpm(System):
    """The emulated RPM. A record is what `Rep` answers, and `Company`, which it never returns."""

    name = "RPM"
    base = "/rpm/Api2.svc"
    settings: ClassVar = {"api_key": KEY}

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.calls_left: int | None = None
        """How many calls of the plan are left today; None for a plan without a limit."""

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        if request.method != "POST":
            return Reply(405, {"Message": "Method not allowed."})
        endpoint = request.segments[0]
        try:
            result = self._result(endpoint, request)
        except RpmError as error:
            message = str(error)
            return Reply(200, {"Result": {"Error": message if endpoint == "Rep" else {"Message": message}}})
        return Reply(200, {"Result": result})

    def _result(self, endpoint: str, request: Request) -> Record:
        key = request.headers.get("rpmapikey")
        if not key:
            raise RpmError("Valid key required")
        if key not in (KEY, REP_ONLY_KEY):
            raise RpmError("Key not found, please check that it is typed correctly")
        if key == REP_ONLY_KEY and endpoint != "Rep":
            raise RpmError("User lacks permission")
        if self.calls_left is not None:
            if self.calls_left <= 0:
                raise RpmError("API daily limit reached")
            self.calls_left -= 1
        body = request.json()
        if not isinstance(body, dict):
            raise RpmError("Request could not be parsed")
        match endpoint:
            case "Rep":
                return self._public(self._find(body))
            case "AgentUsers":
                return {"AgentUsers": [*map(self._user, self.store.reps), *self.store.managers]}
            case "RepEdit":
                return self._edit(body)
            case "RepAdd":
                return self._add(body)
            case _:
                raise RpmError("Unknown endpoint")

    def _find(self, key: Record) -> Record:
        if "RepID" in key:
            found = self.store.reps.get(str(key["RepID"]))
        elif "AssignmentCode" in key:
            supplier = self._named(self.store.suppliers, key, "Supplier")
            found = self._first(
                lambda rep: any(
                    code["SupplierID"] == supplier["SupplierID"] and code["AssignmentCode"] == key["AssignmentCode"]
                    for code in rep["AssignmentCodes"]
                )
            )
        else:
            agency = self._named(self.store.agencies, key, "Agency")
            found = self._first(lambda rep: rep["AgencyID"] == agency["AgencyID"] and rep["Rep"] == key.get("Rep"))
        if found is None:
            raise RpmError("Rep not found")
        return found

    def _first(self, matches: Any) -> Record | None:
        return next((rep for rep in self.store.reps if matches(rep)), None)

    def _named(self, table: Any, key: Record, kind: str) -> Record:
        """Find an agency or a supplier by the id or the name that is in the request."""
        for row in table:
            if key.get(f"{kind}ID", row[f"{kind}ID"]) == row[f"{kind}ID"] and (
                f"{kind}ID" in key or key.get(kind) == row[kind]
            ):
                return dict(row)
        raise RpmError(f"{kind} not found")

    def _public(self, record: Record) -> Record:
        return {name: value for name, value in record.items() if name != "Company"}

    def _user(self, rep: Record) -> Record:
        return {
            "Name": rep["Rep"],
            "UserID": rep["UserID"],
            "Username": rep["Username"],
            "Type": 3 if rep["MgrID"] else 1,
            "AgencyID": rep["AgencyID"],
            "Agency": rep["Agency"],
            "AgencyArchived": rep["AgencyArchived"],
            "Enabled": rep["Enabled"],
            "RepID": rep["RepID"],
            "MgrID": rep["MgrID"],
        }

    def _edit(self, body: Record) -> Record:
        given = self._given(body)
        record = self.store.reps.get(str(given.get("RepID")))
        if record is None:
            raise RpmError("Rep not found")
        return self._save(record, given, body)

    def _add(self, body: Record) -> Record:
        given = self._given(body)
        agency = self._named(self.store.agencies, {"AgencyID": given.get("AgencyID")}, "Agency")
        if not given.get("Username"):
            raise RpmError('Call requires parameter: "Username" which was not found')
        number = next(n for n in itertools.count(1000 + len(self.store.reps)) if str(n) not in self.store.reps)
        record: Record = {
            "RepID": number,
            "UserID": 5000 + number,
            "MgrID": 7000 + number if given.get("IsAlsoManager") else 0,
            "Type": "Rep",
            **agency,
            "AgencyArchived": False,
            "Added": "2026-11-21",
            "Contact": {"ContactID": 9000 + number, "PhoneNumbers": [], **dict.fromkeys(CONTACT_FIELDS)},
            "Fields": [],
            "AssignmentCodes": [],
            "NotesForStaff": [],
        }
        return self._save(record, given, body)

    def _given(self, body: Record) -> Record:
        given = body.get("Rep")
        if not isinstance(given, dict):
            raise RpmError('Call requires parameter: "Rep" which was not found')
        for name in ("FirstName", "LastName"):
            if (given.get("Contact") or {}).get(name) is None:
                raise RpmError(f'Call requires parameter: "Contact.{name}" which was not found')
        return given

    def _save(self, record: Record, given: Record, body: Record) -> Record:
        contact = record["Contact"]
        numbers = self._phone_numbers(contact["PhoneNumbers"], given["Contact"])
        contact |= {name: given["Contact"][name] for name in CONTACT_FIELDS if name in given["Contact"]}
        contact["PhoneNumbers"] = numbers
        if body.get("InviteUser") and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", contact["Email"] or ""):
            raise RpmError("Invite requires a valid email address")
        relationship = given.get("Relationship", 0)
        if relationship not in (0, 1):
            raise RpmError("Unrecognized relationship")
        if "AssignmentCodes" in given:
            record["AssignmentCodes"] = [
                {
                    **self._named(self.store.suppliers, code, "Supplier"),
                    "AssignmentCode": code["AssignmentCode"],
                }
                for code in given["AssignmentCodes"] or []
            ]
        if "Fields" in given:
            record["Fields"] = [{"Field": f.get("Field"), "Value": f.get("Value")} for f in given["Fields"] or []]
        record |= {name: given[name] for name in ("Username", "Company") if name in given}
        record |= {
            "Rep": f"{contact['FirstName']} {contact['LastName']}".strip(),
            "Enabled": bool(given.get("Enabled", False)),
            "CommissionsHidden": bool(given.get("CommissionsHidden", False)),
            "Relationship": RELATIONSHIPS[relationship],
            "Modified": "2026-11-21",
        }
        self.store.reps.put(str(record["RepID"]), record)
        return self._public(record)

    def _phone_numbers(self, old: list[Record], contact: Record) -> list[Record]:
        if "PhoneNumbers" not in contact:
            return old
        given = contact["PhoneNumbers"] or []
        known = {number["Type"]: number for number in old}
        for number in given:
            if number.get("Type") not in (*PHONE_TYPES, *known):
                raise RpmError(f"Unrecognized type for phone number: {number.get('Type')}")
        if len({number["Type"] for number in given}) < len(given) or len(given) > 4:
            raise RpmError("There can be up to 4 phone numbers, one of each type")
        return [
            {
                "Number": number.get("Number"),
                "PhoneNumberID": known.get(number["Type"], {}).get("PhoneNumberID", 100 + index),
                "Type": number["Type"],
            }
            for index, number in enumerate(given)
        ]
