"""Billtrust Disputes, emulated from its page "Dispute Assignees".

Decided where the page is silent: a bad request is 422 with `errors`, but a `departmentCode` on update by id is
400; a second assignee with an email address in a department is 409; DELETE is 204; by-email ignores case and
picks the first record; unknown fields are stored, and reset by a PUT that leaves them out like the known ones.
"""

import itertools
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from peoplegraph.sandbox.http import Reply, Request, System, empty
from peoplegraph.sandbox.store import Record

TENANT = "sandbox-tenant"
KEY = "sandbox-disputes-key"
READ_ONLY_KEY = "sandbox-disputes-read-only-key"
USER_TOKEN = "sandbox-disputes-user-token"  # noqa: S105  # of an emulated system

PERSON_FIELDS = (
    "firstName",
    "lastName",
    "email",
    "officePhone",
    "cellPhone",
    "fax",
    "title",
    "language",
    "timezone",
)
ADDRESS_FIELDS = ("address1", "address2", "city", "state", "zip", "country")
BOOLEANS = ("active", "allUpdates", "dailyDigest", "isDefault")
OWN_FIELDS = ("id", "assigneeId", "tenantId", "createUser", "createDate", "updateUser", "updateDate")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a credential acts as, and what that user may do."""

    user_id: str
    permissions: frozenset[str]


_ALL = frozenset({"READ", "CREATE", "UPDATE", "DELETE"})
CREDENTIALS = {
    ("x-billtrust-api-key", KEY): Owner("user-0001", _ALL),
    ("x-billtrust-api-key", READ_ONLY_KEY): Owner("user-0002", frozenset({"READ"})),
    ("x-billtrust-auth", USER_TOKEN): Owner("user-0003", _ALL),
}
_PERMISSIONS = {"GET": "READ", "POST": "CREATE", "PUT": "UPDATE", "DELETE": "DELETE"}


class Disputes(System):
    """The emulated Disputes, for one tenant."""

    name = "DISPUTES"
    base = "/dispute/v1"
    settings: ClassVar = {"api_key": KEY, "tenant_id": TENANT}

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        owner = next((o for (h, key), o in CREDENTIALS.items() if request.headers.get(h) == key), None)
        permission = _PERMISSIONS.get(request.method)
        if owner is None or request.segments[:2] != ("tenants", TENANT):
            return Reply(403, {"message": "Forbidden"})
        if permission not in owner.permissions:
            return Reply(403, {"message": f"Missing permission Dispute Configuration : {permission}"})
        match (request.method, *request.segments[2:]):
            case ("GET", "departments"):
                return Reply(200, list(self.store.departments))
            case ("GET", "departments", "code", code):
                return _found(self._department("code", code))
            case ("GET", "assignees"):
                department_id = request.query.get("DepartmentId")
                rows = (a for a in self.store.assignees if department_id in (None, a["departmentId"]))
                return Reply(200, list(rows))
            case ("GET", "assignees", "current-user"):
                return _found(self._first(lambda a: a["userId"] == owner.user_id))
            case ("GET", "assignees", "by-email", email):
                return _found(self._by_email(email))
            case ("GET", "assignees", assignee_id):
                return _found(self.store.assignees.get(assignee_id))
            case ("POST", "assignees"):
                return self._write(None, request.json(), owner)
            case ("PUT", "assignees", "by-email", email):
                old = self._by_email(email)
                return self._write(old, request.json(), owner) if old else _found(None)
            case ("PUT", "assignees", assignee_id):
                old = self.store.assignees.get(assignee_id)
                if old and "departmentCode" in (request.json() or ()):
                    return Reply(400, {"error": "departmentCode is not accepted here"})
                return self._write(old, request.json(), owner) if old else _found(None)
            case ("DELETE", "assignees", assignee_id):
                return self._delete(self.store.assignees.get(assignee_id))
            case ("DELETE", "departments", "by-code", code, "assignees", "by-email", email):
                department = self._department("code", code) or {}
                return self._delete(self._by_email(email, department.get("departmentId")))
            case _:
                return Reply(404, {"message": "no such path"})

    def _first(self, matches: Any) -> Record | None:
        return next((a for a in self.store.assignees if matches(a)), None)

    def _by_email(self, email: str, department_id: str | None = None) -> Record | None:
        return self._first(
            lambda a: (
                (a["person"]["email"] or "").lower() == email.lower() and department_id in (None, a["departmentId"])
            )
        )

    def _department(self, field: str, value: str | None) -> Record | None:
        return next((d for d in self.store.departments if d[field] == value), None)

    def _write(self, old: Record | None, body: Any, owner: Owner) -> Reply:
        if not isinstance(body, dict) or not isinstance(body.get("person") or {}, dict):
            return Reply(422, {"message": "The body must be a JSON object"})
        record = {name: value for name, value in body.items() if name not in (*OWN_FIELDS, "departmentCode")}
        given = body.get("person") or {}
        person = {**dict.fromkeys(PERSON_FIELDS), "address": None, **given}
        user = self.store.users.get(body.get("userId") or "")
        if user:
            person |= user
        if person["address"] is not None:
            person["address"] = {**dict.fromkeys(ADDRESS_FIELDS), **person["address"]}
        code = body.get("departmentCode")
        department = (
            self._department("code", code)
            if code is not None
            else self._department("departmentId", body.get("departmentId"))
        )
        errors = self._errors(body, person, user, department)
        if errors:
            return Reply(422, {"errors": [{"field": f, "message": m} for f, m in errors]})
        assert department is not None  # noqa: S101  # or it were an error
        twin = self._by_email(person["email"] or "", department["departmentId"])
        if twin and twin["id"] != (old or {}).get("id"):
            return Reply(409, {"message": f"{person['email']} is an assignee of this department already"})
        record |= {name: bool(body.get(name)) for name in BOOLEANS}
        record |= {"departmentId": department["departmentId"], "userId": body.get("userId"), "person": person}
        return self._store(old, record, owner)

    def _errors(
        self, body: Record, person: Record, user: Record | None, department: Record | None
    ) -> list[tuple[str, str]]:
        errors = []
        if not body.get("userId") and not person["email"]:
            errors.append(("person.email", "Either userId or person.email must be provided"))
        if body.get("userId") and user is None:
            errors.append(("userId", "there is no such user"))
        if person["email"] and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", person["email"]):
            errors.append(("person.email", "email is not a valid address"))
        if department is None:
            field = "departmentCode" if body.get("departmentCode") is not None else "departmentId"
            errors.append((field, "there is no such department"))
        errors += [(n, f"{n} must be a boolean") for n in BOOLEANS if not isinstance(body.get(n, False), bool)]
        return errors

    def _store(self, old: Record | None, record: Record, owner: Owner) -> Reply:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if old:
            record |= {name: old[name] for name in OWN_FIELDS}
        else:
            new_id = next(
                key
                for number in itertools.count(len(self.store.assignees) + 1)
                if (key := f"asg-{number:04}") not in self.store.assignees
            )
            record |= {"id": new_id, "assigneeId": new_id, "tenantId": TENANT}
            record |= {"createUser": owner.user_id, "createDate": now}
        record |= {"updateUser": owner.user_id, "updateDate": now}
        if record["isDefault"]:
            for other in self.store.assignees:
                if other["departmentId"] == record["departmentId"] and other["isDefault"]:
                    self.store.assignees.put(other["id"], {**other, "isDefault": False})
        self.store.assignees.put(record["id"], record)
        return Reply(200 if old else 201, record)

    def _delete(self, record: Record | None) -> Reply:
        if record is None:
            return _found(None)
        self.store.assignees.delete(record["id"])
        return empty(204)


def _found(record: Record | None) -> Reply:
    return Reply(404, {"message": "Not found"}) if record is None else Reply(200, record)
