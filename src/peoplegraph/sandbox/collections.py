"""Billtrust Collections, emulated from its page "Representatives".

Decided where the page is silent: POST and PUT answer without a body, PATCH with the representative without its
links; embedded lists are cut at 100; the pages of `accounts` come in an envelope with a total, those of
`documents` as a bare array; a bad key is 403.
"""

import re
from typing import Any, ClassVar

from peoplegraph.sandbox.http import Reply, Request, System, empty

KEY = "sandbox-collections-key"

FIELDS = (
    "name",
    "email",
    "phone",
    "mobile_phone",
    "fax",
    "language",
    "title",
    "department",
    "representative_type",
    "supervisor_representative_reference",
    "extra_info",
)
MAX_LIMIT = 100


class Collections(System):
    """The emulated Collections. A record holds its fields, and its links under `accounts` and `documents`."""

    name = "COLLECTIONS"
    base = "/api/v1/ingest"
    settings: ClassVar = {"api_key": KEY}

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        if request.headers.get("x-api-key") != KEY:
            return Reply(403, {"message": "Forbidden"})
        match (request.method, *request.segments):
            case ("GET", "representatives", reference):
                return self._get(reference)
            case ("POST" | "PUT" | "PATCH" as method, "representatives", reference):
                return self._write(method, reference, request.json())
            case ("PUT", "representatives", reference, "accounts" | "documents" as kind, number):
                return self._link(reference, kind, number)
            case ("GET", "representatives", reference, "accounts" | "documents" as kind):
                return self._page(reference, kind, request)
            case _:
                return Reply(404, {"message": "no such path"})

    def _get(self, reference: str) -> Reply:
        record = self.store.representatives.get(reference)
        if record is None:
            return _unknown()
        for kind in ("accounts", "documents"):
            record[kind] = record[kind][:MAX_LIMIT]
        return Reply(200, record)

    def _write(self, method: str, reference: str, body: Any) -> Reply:
        old = self.store.representatives.get(reference)
        if method == "POST" and old:
            return Reply(409, {"message": f"Representative {reference} already exists"})
        if method == "PATCH" and not old:
            return _unknown()
        errors = self._errors(reference, body)
        if errors:
            return Reply(422, {"message": "Validation failure", "errors": errors})
        record: dict[str, Any] = {
            "reference": reference,
            **dict.fromkeys(FIELDS),
            "custom_fields": {},
            "accounts": [],
            "documents": [],
        }
        if method == "PATCH":
            record = old or record
        elif old:
            record |= {kept: old[kept] for kept in ("custom_fields", "accounts", "documents")}
        record |= {name: body[name] for name in FIELDS if name in body}
        custom = body.get("custom_fields") or {}
        record["custom_fields"] = {
            name: value for name, value in {**record["custom_fields"], **custom}.items() if value not in (None, "")
        }
        self.store.representatives.put(reference, record)
        if method == "PATCH":
            return Reply(200, {k: v for k, v in record.items() if k not in ("accounts", "documents")})
        return empty(200 if old else 201)

    def _errors(self, reference: str, body: Any) -> list[dict[str, str]]:
        if not isinstance(body, dict):
            return [{"field": "", "message": "The body must be a JSON object"}]
        errors = [
            {"field": name, "message": f"{name} must be a string"}
            for name in FIELDS
            if not isinstance(body.get(name), str | None)
        ]
        if errors:
            return errors
        if body.get("language") and not re.fullmatch("[a-z]{2}", body["language"]):
            errors.append({"field": "language", "message": "language must be an ISO 639-1 code"})
        if body.get("email") and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", body["email"]):
            errors.append({"field": "email", "message": "email is not a valid address"})
        supervisor = body.get("supervisor_representative_reference")
        if supervisor and (supervisor == reference or supervisor not in self.store.representatives):
            errors.append(
                {
                    "field": "supervisor_representative_reference",
                    "message": "supervisor is not a representative",
                }
            )
        if not isinstance(body.get("custom_fields"), dict | None):
            errors.append({"field": "custom_fields", "message": "custom_fields must be an object"})
        return errors

    def _link(self, reference: str, kind: str, number: str) -> Reply:
        record = self.store.representatives.get(reference)
        if record is None:
            return _unknown()
        if number not in (self.store.accounts if kind == "accounts" else self.store.documents):
            return Reply(404, {"message": f"No {kind.removesuffix('s')} {number}"})
        if number not in record[kind]:
            record[kind].append(number)
            self.store.representatives.put(reference, record)
        return empty(200)

    def _page(self, reference: str, kind: str, request: Request) -> Reply:
        record = self.store.representatives.get(reference)
        if record is None:
            return _unknown()
        try:
            page, limit = int(request.query.get("page", "1")), int(request.query.get("limit", "100"))
        except ValueError:
            page = limit = 0
        if page < 1 or not 1 <= limit <= MAX_LIMIT:
            return Reply(422, {"message": "page must be at least 1, limit 1 to 100"})
        numbers = record[kind][(page - 1) * limit : page * limit]
        if kind == "documents":
            return Reply(200, numbers)
        rows = [{"account_number": number} for number in numbers]
        return Reply(200, {"items": rows, "page": page, "limit": limit, "total": len(record[kind])})


def _unknown() -> Reply:
    return Reply(404, {"message": "Representative not found"})
