"""RPM's loaders: what one request has asked for, in the fewest calls, since every call is billed."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

from peoplegraph.backends.batching import Each, Loader, by_key, each
from peoplegraph.backends.rpm import wire
from peoplegraph.backends.rpm.client import RpmClient
from peoplegraph.context import Context
from peoplegraph.errors import Forbidden, NotFound

USERS_FROM = 2
"""The number of reps from which on AgentUsers is cheaper than a call of Rep for each, where it has all."""

EVERYBODY = ""
"""The key of the one list of users."""


class ById(NamedTuple):
    """A rep by its id."""

    rep_id: int


class ByAgency(NamedTuple):
    """A rep by its agency and its name."""

    agency_id: int
    name: str


class ByAssignment(NamedTuple):
    """A rep by a supplier and one of the codes that it has there."""

    supplier_id: int
    code: str


RepKey = ById | ByAgency | ByAssignment


class RpmLoaders:
    """One request's view of RPM.

    `rep` costs one call of Rep for each distinct key; what was had by another key is had by its id, too.
    `brief` has only what AgentUsers tells, and makes that one call instead of several of Rep, from
    `USERS_FROM` reps on that are not in hand; who is not among the users is unknown. Where the key may not
    list users, each rep is asked for by Rep after all.
    """

    def __init__(self, client: RpmClient) -> None:
        self.client = client
        self.rep = Each(self._get)
        self._users = Each(self._list_users)

    @cached_property
    def brief(self) -> Loader[int, wire.Rep | None]:
        """What AgentUsers tells of reps, by id."""
        return Loader(self._get_brief)

    def forget(self, rep_id: int | None) -> None:
        """Drop what was loaded of a rep that has been, or may have been, written to; None is a new one."""
        self.rep.clear_where(lambda key: not isinstance(key, ById) or key.rep_id == rep_id)
        self.brief.clear_all()
        self._users.clear_all()

    async def _get(self, key: RepKey) -> wire.Rep | None:
        match key:
            case ById(rep_id):
                if rep_id <= 0:
                    return None
                body: dict[str, Any] = {"RepID": rep_id}
            case ByAgency(agency_id, name):
                body = {"Rep": name, "AgencyID": agency_id}
            case ByAssignment(supplier_id, code):
                body = {"SupplierID": supplier_id, "AssignmentCode": code}
        try:
            answer = await self.client.rep(body)
        except NotFound:
            return None
        record = wire.rep(answer.body, body.get("RepID"))
        self.rep.prime(ById(record.rep_id), record)
        return record

    async def _get_brief(self, rep_ids: list[int]) -> Sequence[wire.Rep | None | Exception]:
        missing = [rep_id for rep_id in rep_ids if rep_id > 0 and not self.rep.holds(ById(rep_id))]
        if self._users.holds(EVERYBODY) or len(missing) >= USERS_FROM:
            try:
                users = await self._users.load(EVERYBODY)
                return [users.get(rep_id) for rep_id in rep_ids]
            except Forbidden:
                pass  # the key may call Rep, and not list users
        return await each(rep_ids, lambda rep_id: self.rep.load(ById(rep_id)))

    async def _list_users(self, _: str) -> dict[int, wire.Rep]:
        users = wire.agent_users((await self.client.agent_users()).body)
        return by_key(users, lambda user: user.rep_id)


async def check(context: Context) -> None:
    """Ask for a rep that there is not: that is one call, too, but a small one."""
    with suppress(NotFound):
        await context.loaders(RpmLoaders).client.rep({"RepID": 0})
