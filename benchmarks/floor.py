"""The floor: the three workloads by hand, over uvicorn and the `http1` engine; no GraphQL, no schema, no loaders.

UPSTREAM=http://127.0.0.1:… uvicorn --factory floor:create_app
"""

import asyncio
import os
from typing import Any

import msgspec
import orjson
from workloads import JOIN, LIST, POINT, TENANT, answers

from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Call, Credential
from peoplegraph.upstream.http1 import Http1Engine
from peoplegraph.upstream.limit import Limits


class Representative(msgspec.Struct):
    """What is needed of one."""

    reference: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    title: str | None = None
    supervisor_representative_reference: str | None = None


class Address(msgspec.Struct):
    """What is needed of one."""

    city: str | None = None
    state: str | None = None
    zip: str | None = None


class Person(msgspec.Struct, rename="camel"):
    """What is needed of one."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    title: str | None = None
    office_phone: str | None = None
    timezone: str | None = None
    address: Address | None = None


class Assignee(msgspec.Struct, rename="camel"):
    """What is needed of one."""

    assignee_id: str
    active: bool
    is_default: bool
    department_id: str
    person: Person


class Known(msgspec.Struct, rename="camel"):
    """What a join needs of an assignee."""

    assignee_id: str
    person: "Mail"


class Mail(msgspec.Struct):
    """What a join needs of a person."""

    email: str | None = None


_representative = msgspec.json.Decoder(Representative)
_assignees = msgspec.json.Decoder(list[Assignee])
_known = msgspec.json.Decoder(list[Known])
KEY, BILLTRUST = Credential("X-API-Key", "key"), Credential("X-Billtrust-Api-Key", "key")


def create_app() -> Any:
    """Return the ASGI application."""
    url = os.environ["UPSTREAM"]
    engine: Any = None

    def call(system: System, target: str, credential: Credential) -> Any:
        deadline = asyncio.get_running_loop().time() + 10
        return engine.send(Call(system, "GET", target, credential, deadline, reads=True, safe_to_retry=True))

    async def representative(reference: str) -> Representative:
        answer: Answer = await call(System.COLLECTIONS, f"/representatives/{reference}", KEY)
        return _representative.decode(answer.body)

    async def point(variables: Any) -> Any:
        r = await representative(variables["r"])
        found = {"reference": r.reference, "name": r.name, "email": r.email, "phone": r.phone, "title": r.title}
        return {"representative": found}

    async def listed(_: Any) -> Any:
        answer = await call(System.DISPUTES, f"/tenants/{TENANT}/assignees", BILLTRUST)
        nodes = [
            {
                "assigneeId": a.assignee_id,
                "firstName": p.first_name,
                "lastName": p.last_name,
                "email": p.email,
                "title": p.title,
                "active": a.active,
                "isDefault": a.is_default,
                "departmentId": a.department_id,
                "officePhone": p.office_phone,
                "timezone": p.timezone,
                "address": {"city": d.city, "state": d.state, "zip": d.zip} if (d := p.address) else None,
            }
            for a in _assignees.decode(answer.body)
            for p in [a.person]
        ]
        return {"assignees": {"nodes": nodes}}

    async def joined(variables: Any) -> Any:
        people = await asyncio.gather(*map(representative, variables["r"]))
        above = {p.supervisor_representative_reference for p in people} - {None}
        known = {p.reference: p for p in people}
        answer, *found = await asyncio.gather(
            call(System.DISPUTES, f"/tenants/{TENANT}/assignees", BILLTRUST),
            *(representative(reference) for reference in above - known.keys() if reference),
        )
        known |= {p.reference: p for p in found}
        by_email: dict[str, Known] = {}
        for a in _known.decode(answer.body):
            by_email.setdefault((a.person.email or "").casefold(), a)
        return {
            "representatives": [
                {
                    "reference": p.reference,
                    "name": p.name,
                    "supervisor": {"reference": s.reference, "name": s.name}
                    if (s := known.get(p.supervisor_representative_reference))
                    else None,
                    "assignee": {"assigneeId": a.assignee_id, "email": a.person.email}
                    if (a := by_email.get((p.email or "").casefold()))
                    else None,
                }
                for p in people
            ]
        }

    workloads = {POINT: point, LIST: listed, JOIN: joined}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal engine
        if scope["type"] == "lifespan":
            await receive()
            systems = (System.COLLECTIONS, System.DISPUTES)
            engine = Http1Engine(dict.fromkeys(systems, url), dict.fromkeys(systems, Limits(100)))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await engine.__aexit__(None, None, None)
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        asked = orjson.loads(body)
        answer = orjson.dumps({"data": await workloads[asked["query"]](asked.get("variables"))})
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": answer})

    return app


FIRST = orjson.loads(answers()["/representatives/REP-001"])
BYTES = orjson.dumps(
    {"data": {"representative": {name: FIRST[name] for name in ("reference", "name", "email", "phone", "title")}}}
)


async def constant(scope: Any, receive: Any, send: Any) -> None:
    """Answer everything with the same bytes: what uvicorn can do."""
    if scope["type"] == "http":
        await receive()
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BYTES))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": BYTES})
