"""What the peers in Python share: the calls, over httpx."""

import asyncio
import os
from typing import Any

import httpx

_client = httpx.AsyncClient(base_url=os.environ["UPSTREAM"], limits=httpx.Limits(max_connections=100))


async def _get(path: str, header: str) -> Any:
    return (await _client.get(path, headers={header: "key"})).json()


async def list_assignees() -> list[dict[str, Any]]:
    """Return all assignees."""
    return await _get("/tenants/bench/assignees", "X-Billtrust-Api-Key")


async def assignees_by_email(emails: list[str]) -> list[dict[str, Any] | None]:
    """Return the assignee of each address."""
    known: dict[str, dict[str, Any]] = {}
    for assignee in await list_assignees():
        known.setdefault(((assignee["person"] or {}).get("email") or "").casefold(), assignee)
    return [known.get(email.casefold()) for email in emails]


async def representatives_by_reference(references: list[str]) -> list[dict[str, Any]]:
    """Return the representative of each reference."""
    return await asyncio.gather(*(_get(f"/representatives/{r}", "X-API-Key") for r in references))
