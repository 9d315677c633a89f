"""Strawberry as its documentation has it, with httpx. UPSTREAM=… uvicorn plain_strawberry:app."""

from typing import Any

import strawberry
from calls import assignees_by_email, list_assignees, representatives_by_reference
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader


@strawberry.type
class Address:
    city: str | None
    state: str | None
    zip: str | None


@strawberry.type
class Assignee:
    assignee_id: str
    first_name: str | None
    last_name: str | None
    email: str | None
    title: str | None
    active: bool
    is_default: bool
    department_id: str | None
    office_phone: str | None
    timezone: str | None
    address: Address | None


@strawberry.type
class Representative:
    reference: str | None
    name: str | None
    email: str | None
    phone: str | None
    title: str | None
    supervisor_reference: strawberry.Private[str | None]

    @strawberry.field
    async def supervisor(self, info: strawberry.Info) -> "Representative | None":
        if self.supervisor_reference is None:
            return None
        return await info.context["representative"].load(self.supervisor_reference)

    @strawberry.field
    async def assignee(self, info: strawberry.Info) -> Assignee | None:
        return await info.context["assignee"].load(self.email) if self.email else None


@strawberry.type
class Assignees:
    nodes: list[Assignee]


@strawberry.type
class Query:
    @strawberry.field
    async def representative(self, info: strawberry.Info, reference: str) -> Representative | None:
        return await info.context["representative"].load(reference)

    @strawberry.field
    async def representatives(self, info: strawberry.Info, references: list[str]) -> list[Representative | None]:
        return await info.context["representative"].load_many(references)

    @strawberry.field
    async def assignees(self, first: int | None = None) -> Assignees | None:
        return Assignees(nodes=[shaped(a) for a in await list_assignees()])


def shaped(a: dict[str, Any]) -> Assignee:
    person = a["person"] or {}
    address = person.get("address")
    return Assignee(
        assignee_id=a["assigneeId"],
        first_name=person.get("firstName"),
        last_name=person.get("lastName"),
        email=person.get("email"),
        title=person.get("title"),
        active=a["active"],
        is_default=a["isDefault"],
        department_id=a["departmentId"],
        office_phone=person.get("officePhone"),
        timezone=person.get("timezone"),
        address=address and Address(city=address["city"], state=address["state"], zip=address["zip"]),
    )


async def representatives(references: list[str]) -> list[Representative]:
    return [
        Representative(
            reference=r["reference"],
            name=r["name"],
            email=r["email"],
            phone=r["phone"],
            title=r["title"],
            supervisor_reference=r["supervisor_representative_reference"],
        )
        for r in await representatives_by_reference(references)
    ]


async def assignees(emails: list[str]) -> list[Assignee | None]:
    return [a and shaped(a) for a in await assignees_by_email(emails)]


class View(GraphQL[Any, Any]):
    async def get_context(self, request: Any, response: Any) -> Any:
        return {"representative": DataLoader(representatives), "assignee": DataLoader(assignees)}


app = View(strawberry.Schema(Query))
