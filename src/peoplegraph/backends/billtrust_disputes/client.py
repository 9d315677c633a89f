"""Disputes' endpoints, one coroutine each, as the vendor's page "Dispute Assignees" has them.

Paths begin with the tenant, query parameters are PascalCase, a bad key or a missing permission is 403. Any 2xx
is success, and a DELETE may answer without a body. `X-BT-Corr-Id` is Billtrust's own and not sent. No write is
safe to retry: a PUT may have to put back what somebody else wrote meanwhile. Whatever is kept of any assignee is
dropped by every write to one, since `isDefault` and lists reach further than the record.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from peoplegraph.backends.answers import InputPaths, check
from peoplegraph.backends.base import Client, quoted, segment
from peoplegraph.backends.billtrust_disputes.wire import ADDRESS_FIELDS, PERSON_FIELDS, RECORD_FIELDS
from peoplegraph.context import Session
from peoplegraph.errors import NotFound
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Endpoint

READ = "Dispute Configuration : READ"
CREATE = "Dispute Configuration : CREATE"
UPDATE = "Dispute Configuration : UPDATE"
DELETE = "Dispute Configuration : DELETE"

GET_ASSIGNEE = Endpoint(System.DISPUTES, "GET", "/assignees/{assigneeId}")
GET_ASSIGNEE_BY_EMAIL = Endpoint(System.DISPUTES, "GET", "/assignees/by-email/{assigneeEmail}")
GET_CURRENT_ASSIGNEE = Endpoint(System.DISPUTES, "GET", "/assignees/current-user")
GET_ASSIGNEES = Endpoint(System.DISPUTES, "GET", "/assignees")
GET_DEPARTMENTS = Endpoint(System.DISPUTES, "GET", "/departments")
POST_ASSIGNEE = Endpoint(System.DISPUTES, "POST", "/assignees")
PUT_ASSIGNEE = Endpoint(System.DISPUTES, "PUT", "/assignees/{assigneeId}")
PUT_ASSIGNEE_BY_EMAIL = Endpoint(System.DISPUTES, "PUT", "/assignees/by-email/{assigneeEmail}")
DELETE_ASSIGNEE = Endpoint(System.DISPUTES, "DELETE", "/assignees/{assigneeId}")
DELETE_ASSIGNEE_BY_EMAIL = Endpoint(
    System.DISPUTES, "DELETE", "/departments/by-code/{departmentCode}/assignees/by-email/{assigneeEmail}"
)
"""Their paths begin below `/tenants/{tenantId}`."""

_OTHER_ENDPOINTS = frozenset({"by-email", "current-user"})
"""What stands in a path where an id may stand, and would be another endpoint than the one that is meant."""

INPUT_PATHS: InputPaths = (
    {vendor: ("input", vendor) for vendor in RECORD_FIELDS.values()}
    | {f"person.{vendor}": ("input", vendor) for vendor in PERSON_FIELDS.values()}
    | {f"person.address.{field}": ("input", "address", field) for field in ADDRESS_FIELDS}
)


class DisputesClient(Client):
    """Calls Disputes for one tenant. Each coroutine returns a success, or raises what the answer means."""

    system = System.DISPUTES

    def __init__(self, session: Session, tenant_id: str) -> None:
        super().__init__(session)
        self.tenant_id = tenant_id
        self.prefix = f"/tenants/{segment(tenant_id)}"

    async def get_assignee(self, assignee_id: str, *, past_caches: bool = False) -> Answer:
        """GET `/assignees/{assigneeId}`."""
        return await self._call(GET_ASSIGNEE, _id(assignee_id), permission=READ, past_caches=past_caches)

    async def get_assignee_by_email(self, email: str, *, past_caches: bool = False) -> Answer:
        """GET `/assignees/by-email/{assigneeEmail}`: of several with that address, the one Disputes picks."""
        return await self._call(GET_ASSIGNEE_BY_EMAIL, email, permission=READ, past_caches=past_caches)

    async def get_current_assignee(self) -> Answer:
        """GET `/assignees/current-user`: the assignee of the credential's owner."""
        return await self._call(GET_CURRENT_ASSIGNEE, permission=READ)

    async def get_assignees(self, department_id: str | None = None) -> Answer:
        """GET `/assignees`, of the whole tenant or of one department: a bare array, all in one answer."""
        query = "" if department_id is None else f"?DepartmentId={quoted(department_id)}"
        return await self._call(GET_ASSIGNEES, query=query, permission=READ)

    async def get_departments(self) -> Answer:
        """GET `/departments`: a bare array."""
        return await self._call(GET_DEPARTMENTS, permission=READ, tags=["departments"])

    async def post_assignee(self, body: Mapping[str, Any]) -> Answer:
        """POST `/assignees`."""
        return await self._call(POST_ASSIGNEE, permission=CREATE, body=body)

    async def put_assignee(self, assignee_id: str, body: Mapping[str, Any]) -> Answer:
        """PUT `/assignees/{assigneeId}`: a replacement; refuses `departmentCode`."""
        return await self._call(PUT_ASSIGNEE, _id(assignee_id), permission=UPDATE, body=body)

    async def put_assignee_by_email(self, email: str, body: Mapping[str, Any]) -> Answer:
        """PUT `/assignees/by-email/{assigneeEmail}`: a replacement; takes `departmentCode`."""
        return await self._call(PUT_ASSIGNEE_BY_EMAIL, email, permission=UPDATE, body=body)

    async def delete_assignee(self, assignee_id: str) -> Answer:
        """DELETE `/assignees/{assigneeId}`."""
        return await self._call(DELETE_ASSIGNEE, _id(assignee_id), permission=DELETE)

    async def delete_assignee_by_email(self, department_code: str, email: str) -> Answer:
        """DELETE `/departments/by-code/{departmentCode}/assignees/by-email/{assigneeEmail}`."""
        return await self._call(DELETE_ASSIGNEE_BY_EMAIL, department_code, email, permission=DELETE)

    async def _call(  # noqa: PLR0913  # what differs between eleven endpoints
        self,
        endpoint: Endpoint,
        *keys: str,
        permission: str,
        query: str = "",
        body: Mapping[str, Any] | None = None,
        tags: Iterable[str] = ("assignees",),
        past_caches: bool = False,
    ) -> Answer:
        call, answer = await self._send(
            endpoint,
            *keys,
            query=query,
            body=None if body is None else dict(body),
            tags=tags,
            past_caches=past_caches,
        )
        return check(call, answer, permission=permission, input_paths=INPUT_PATHS)


def _id(assignee_id: str) -> str:
    if assignee_id in _OTHER_ENDPOINTS:
        raise NotFound(System.DISPUTES, f"{System.DISPUTES.title}: not found")
    return assignee_id
