"""Disputes' loaders: what one request has asked for, in the fewest calls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from msgspec.structs import replace

from peoplegraph.backends.answers import unexpected
from peoplegraph.backends.batching import Each, Loader, each
from peoplegraph.backends.billtrust_disputes import wire
from peoplegraph.backends.billtrust_disputes.client import DisputesClient
from peoplegraph.backends.billtrust_disputes.wire import Assignee, Department, Roster
from peoplegraph.context import Context
from peoplegraph.errors import BadInput, NotFound, Unauthorized
from peoplegraph.settings import CurrentAssignee
from peoplegraph.systems import System
from peoplegraph.upstream.call import Credential

LIST_FROM = 4
"""The number of look-ups in a request from which on the list call is cheaper; see `DisputesLoaders`."""

WHOLE_TENANT = ""
"""The key of the list that is not filtered by department."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """An assignee by id or by email; addresses are the same if they differ in case alone."""

    by: Literal["id", "email"]
    key: str
    spelled: str = field(compare=False)


def by_id(assignee_id: str) -> Lookup:
    """Look an assignee up by its id; raises `BadInput` for the empty one."""
    if not assignee_id:
        raise BadInput("assigneeId may not be empty")
    return Lookup("id", assignee_id, assignee_id)


def by_email(email: str) -> Lookup:
    """Look an assignee up by email address, which the single call sends as it is spelled; raises `BadInput`."""
    if not email:
        raise BadInput("email may not be empty")
    return Lookup("email", email.casefold(), email)


class DisputesLoaders:
    """One request's view of Disputes.

    `assignee` looks up by id and by email. The list call answers any number of look-ups, but with every
    assignee of the tenant (some hundreds, 0.7 kB each); a single call answers one, and several of them run
    side by side, in the time of one. So the list saves calls, not time, and is worth its bytes from
    `LIST_FROM` look-ups at once on. Below that, look-ups are single calls, unless this request has asked for
    the whole list, or is going to (`roster_ahead`): then the list answers all of them. In a list, the first
    assignee with an address is the one that has it; a single call leaves the choice to Disputes.

    The list call is of one department if that is all that is asked for, else of the whole tenant, once, for
    however many departments. `departments` is one call, too, and `current` one for each credential.
    """

    def __init__(self, client: DisputesClient) -> None:
        self.client = client
        self.roster_ahead = False
        self._seen: set[int] = set()
        self._looked_up = 0
        self._everybody = Each(self._list_everybody)
        self.departments = Each(self._list_departments)
        self.current = Each(self._get_current)

    @cached_property
    def assignee(self) -> Loader[Lookup, Assignee | None]:
        """Assignees by id and by email."""
        return Loader(self._look_up)

    @cached_property
    def _of_department(self) -> Loader[str, Roster]:
        return Loader(self._list_departments_assignees)

    def look_ahead(self, operation: object, needs_roster: Callable[[], bool]) -> None:
        """Take note, once for each operation of the request, whether it is going to ask for the whole list."""
        if id(operation) not in self._seen:
            self._seen.add(id(operation))
            self.roster_ahead = self.roster_ahead or needs_roster()

    def forget(self) -> None:
        """Drop everything that was loaded: a write to one assignee may have changed any of its department."""
        for loader in (self.assignee, self._everybody, self._of_department, self.current):
            loader.clear_all()

    async def department(self, department_id: str) -> Department | None:
        """Return a department, or None if there is none by that id: from the one call that lists them all."""
        departments = await self.departments.load(WHOLE_TENANT)
        return next((d for d in departments if d.department_id == department_id), None)

    async def assignees_of(self, department_id: str | None, *, alone: bool) -> list[Assignee]:
        """Return the assignees of a department, or all of them, in Disputes' order.

        `alone` says that nothing else in the operation reads assignees, so that the vendor's filter pays.
        """
        if department_id is None:
            return (await self._everybody.load(WHOLE_TENANT)).all()
        roster = await (
            self._of_department.load(department_id)
            if alone and department_id
            else self._everybody.load(WHOLE_TENANT)
        )
        return roster.of_department(department_id)

    async def find_created(self, body: Mapping[str, Any]) -> Assignee:
        """Find what a create has made where its answer did not say; raises `BadResponse` if that cannot be told."""
        department_id = body.get("departmentId")
        if body.get("departmentCode") is not None:
            codes = {d.code: d.department_id for d in await self.departments.load(WHOLE_TENANT)}
            department_id = codes.get(body["departmentCode"], "")
        user_id, email = body.get("userId"), (body.get("person", {}).get("email") or "").casefold()
        found = [
            a
            for a in await self.assignees_of(department_id, alone=True)
            if (a.user_id == user_id if user_id else (a.email or "").casefold() == email)
        ]
        if len(found) != 1:
            raise unexpected(System.DISPUTES, "created the assignee, and did not say which it is")
        return found[0]

    async def _look_up(self, keys: list[Lookup]) -> Sequence[Assignee | None | Exception]:
        self._looked_up += len(keys)
        single = self._looked_up < LIST_FROM and not self.roster_ahead
        if single and not self._everybody.holds(WHOLE_TENANT):
            return await each(keys, self._get)
        roster = await self._everybody.load(WHOLE_TENANT)
        found = [roster.by_id.get(key.key) if key.by == "id" else roster.by_email.get(key.key) for key in keys]
        if not roster.broken:
            return found
        return [a or unexpected(System.DISPUTES, "sent assignees that cannot be understood") for a in found]

    async def read(self, lookup: Lookup, *, past_caches: bool = True) -> tuple[Assignee, bytes]:
        """Read an assignee with a call of its own, past everything loaded; returns its body as well."""
        if lookup.by == "email":
            answer = await self.client.get_assignee_by_email(lookup.spelled, past_caches=past_caches)
            record = wire.assignee(answer.body)
            is_it = (record.email or "").casefold() == lookup.key
        else:
            answer = await self.client.get_assignee(lookup.key, past_caches=past_caches)
            record = wire.assignee(answer.body)
            is_it = record.assignee_id == lookup.key
        if not is_it:
            raise unexpected(System.DISPUTES, "answered with another assignee")
        return record, answer.body

    async def reread(self, lookup: Lookup) -> Assignee:
        """Read what was just written, where the answer to the write did not have it."""
        record, _ = await self.read(lookup)
        return record

    async def _get(self, lookup: Lookup) -> Assignee:
        record, _ = await self.read(lookup, past_caches=False)
        self.assignee.prime(by_id(record.assignee_id), record)
        return record

    async def _list_everybody(self, _: str) -> Roster:
        return wire.assignees((await self.client.get_assignees()).body)

    async def _list_departments_assignees(self, department_ids: list[str]) -> list[Roster]:
        if len(department_ids) == 1 and not self._everybody.holds(WHOLE_TENANT):
            return [wire.assignees((await self.client.get_assignees(department_ids[0])).body)]
        return [await self._everybody.load(WHOLE_TENANT)] * len(department_ids)

    async def _list_departments(self, _: str) -> list[Department]:
        return wire.departments((await self.client.get_departments()).body)

    async def _get_current(self, credential: Credential) -> Assignee | None:
        session = replace(self.client.session, credential=credential)
        try:
            answer = await DisputesClient(session, self.client.tenant_id).get_current_assignee()
        except NotFound:
            return None
        return wire.assignee(answer.body)


def current_credential(context: Context) -> Credential:
    """Return the credential whose owner is the current assignee; raises `Unauthorized`."""
    way = context.way(System.DISPUTES)
    credential = context.caller_credential(System.DISPUTES)
    if credential is None and context.settings.current_assignee is CurrentAssignee.KEY_OWNER:
        credential = way.credential
    if credential is None:
        headers = " or ".join(way.backend.credential_headers)
        raise Unauthorized(System.DISPUTES, f"currentAssignee needs the caller's own credential, in {headers}")
    return credential


async def check(context: Context) -> None:
    """List the departments."""
    await context.loaders(DisputesLoaders).departments.load(WHOLE_TENANT)
