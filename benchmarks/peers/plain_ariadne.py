"""Ariadne as its documentation has it, with aiodataloader and httpx. UPSTREAM=… uvicorn plain_ariadne:app."""

from pathlib import Path
from typing import Any

from aiodataloader import DataLoader
from ariadne import ObjectType, QueryType, load_schema_from_path, make_executable_schema
from ariadne.asgi import GraphQL
from calls import assignees_by_email, list_assignees, representatives_by_reference

types = load_schema_from_path(Path(__file__).with_name("schema.graphql"))
query, representative, assignee = QueryType(), ObjectType("Representative"), ObjectType("Assignee")


@query.field("representative")
async def resolve_representative(_: Any, info: Any, reference: str) -> Any:
    return await info.context["representative"].load(reference)


@query.field("representatives")
async def resolve_representatives(_: Any, info: Any, references: list[str]) -> Any:
    return await info.context["representative"].load_many(references)


@query.field("assignees")
async def resolve_assignees(_: Any, info: Any, first: int | None = None) -> Any:
    return {"nodes": await list_assignees()}


@representative.field("supervisor")
async def resolve_supervisor(source: Any, info: Any) -> Any:
    reference = source["supervisor_representative_reference"]
    return await info.context["representative"].load(reference) if reference else None


@representative.field("assignee")
async def resolve_assignee(source: Any, info: Any) -> Any:
    return await info.context["assignee"].load(source["email"]) if source["email"] else None


def of_person(field: str) -> Any:
    return lambda source, info: (source["person"] or {}).get(field)


for name in ("firstName", "lastName", "email", "title", "officePhone", "timezone", "address"):
    assignee.set_field(name, of_person(name))


def context(request: Any, data: Any = None) -> Any:
    return {"representative": DataLoader(representatives_by_reference), "assignee": DataLoader(assignees_by_email)}


app = GraphQL(make_executable_schema(types, query, representative, assignee), context_value=context)
