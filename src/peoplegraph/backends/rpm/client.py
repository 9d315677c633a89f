"""RPM's endpoints, one coroutine each: POST, JSON in and out, with the key in `RpmApiKey`.

Errors come with HTTP 200, as one of the vendor's messages; `_meaning` says what each is. `Rep` and `AgentUsers`
change nothing and are safe to retry, though they are POSTs; the writes are not.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from peoplegraph.backends.answers import check, quoted, unexpected
from peoplegraph.backends.base import Client
from peoplegraph.backends.rpm import wire
from peoplegraph.errors import (
    BadResponse,
    Forbidden,
    Invalid,
    Issue,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Unauthorized,
    UpstreamError,
)
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Endpoint

REP = Endpoint(System.RPM, "POST", "/Rep", is_query=True)
AGENT_USERS = Endpoint(System.RPM, "POST", "/AgentUsers", is_query=True)
REP_EDIT = Endpoint(System.RPM, "POST", "/RepEdit")
REP_ADD = Endpoint(System.RPM, "POST", "/RepAdd")

_LOOKUPS = "look-ups"
"""The tag of a rep that was asked for by anything but its id: which one it is, only the answer tells."""

_USERS = "users"

_REPS = "reps"
"""The tag of every rep: an edit that gives assignment codes may take them from others."""

_INPUT_AT_FAULT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Invite requires a valid email address", ("input", "email")),
    ('Call requires parameter: "Username"', ("input", "username")),
    ('Call requires parameter: "Contact.FirstName"', ("input", "firstName")),
    ('Call requires parameter: "Contact.LastName"', ("input", "lastName")),
    ("Unrecognized type for phone number", ("input", "phoneNumbers")),
    ("Agency not found", ("input", "agencyId")),
    ("Supplier not found", ("input", "assignmentCodes")),
)
"""How a message that blames the input begins, and the place in the GraphQL input that it means."""


class RpmClient(Client):
    """Calls RPM. Each coroutine returns a success, or raises what the answer means."""

    system = System.RPM

    async def rep(self, key: Mapping[str, Any], *, past_caches: bool = False) -> Answer:
        """Rep: one rep, by `RepID`, by `Rep` and `AgencyID`, or by `SupplierID` and `AssignmentCode`."""
        tag = f"rep {key['RepID']}" if "RepID" in key else _LOOKUPS
        return await self._post(REP, key, tags=[tag, _REPS], past_caches=past_caches)

    async def agent_users(self) -> Answer:
        """AgentUsers: every rep and manager, not paginated, without their contacts."""
        return await self._post(AGENT_USERS, {}, tags=[_USERS])

    async def rep_edit(
        self, rep: Mapping[str, Any], *, invite_user: bool, webhook_evaluate: bool, gives_codes: bool
    ) -> Answer:
        """RepEdit: what `rep` leaves out of `Enabled`, `CommissionsHidden`, `Relationship` is reset."""
        return await self._write(REP_EDIT, rep, invite_user, webhook_evaluate, gives_codes)

    async def rep_add(
        self, rep: Mapping[str, Any], *, invite_user: bool, webhook_evaluate: bool, gives_codes: bool
    ) -> Answer:
        """RepAdd: a new rep."""
        return await self._write(REP_ADD, rep, invite_user, webhook_evaluate, gives_codes)

    async def _write(
        self,
        endpoint: Endpoint,
        rep: Mapping[str, Any],
        invite_user: bool,  # noqa: FBT001
        webhook: bool,  # noqa: FBT001
        gives_codes: bool,  # noqa: FBT001
    ) -> Answer:
        body = {"Rep": dict(rep), "InviteUser": invite_user, "WebhookEvaluate": webhook}
        tags = [_REPS if gives_codes else f"rep {rep.get('RepID')}", _LOOKUPS, _USERS]
        return await self._post(endpoint, body, tags=tags)

    async def _post(
        self,
        endpoint: Endpoint,
        body: Mapping[str, Any],
        *,
        tags: Iterable[str],
        past_caches: bool = False,
    ) -> Answer:
        call, answer = await self._send(
            endpoint,
            body=dict(body),
            tags=tags,
            past_caches=past_caches,
            is_success=_is_success,
            meaning=_code_of_a_query if endpoint.reads else _code_of_a_write,
        )
        if answer.status == 404:  # an unknown rep is a message with 200; this is an unknown path
            raise unexpected(System.RPM, "answered with an unexpected status (404)")
        check(call, answer)
        try:
            message = wire.error_message(answer.body)
        except BadResponse as error:
            if endpoint.reads:
                raise
            raise OutcomeUnknown(System.RPM, "RPM's answer does not say whether the write took effect") from error
        if message is not None:
            raise _meaning(message, reads=endpoint.reads)
        return answer


def _is_success(answer: Answer) -> bool:
    """Tell an answer from one of the errors that come with HTTP 200."""
    try:
        return wire.error_message(answer.body) is None
    except BadResponse:
        return False


MAX_MESSAGE_BYTES = 4_000
"""An answer that is longer is no message, and is not looked at twice."""


def _code(answer: Answer, *, reads: bool) -> str | None:
    """Return the code of the error that comes with HTTP 200."""
    if answer.status != 200 or len(answer.body) > MAX_MESSAGE_BYTES:
        return None
    try:
        message = wire.error_message(answer.body)
    except BadResponse as error:
        return error.code
    if message is None:
        return None
    match _meaning(message, reads=reads):
        case NotFound():
            return "NOT_FOUND"
        case Invalid():
            return "INVALID"
        case meaning:
            return meaning.code


_code_of_a_query = partial(_code, reads=True)
_code_of_a_write = partial(_code, reads=False)


def _meaning(message: str, *, reads: bool) -> UpstreamError:  # noqa: PLR0911  # one line a meaning
    """Return what a message means; on a write it is a refusal if it is nothing else."""
    text = f"RPM: {quoted(message)}"
    if message.startswith(("Valid key required", "Key not found")):
        return Unauthorized(System.RPM, text)
    if message.startswith(("Unauthorized user", "User lacks permission")):
        return Forbidden(System.RPM, text)
    if message.startswith("API daily limit reached"):
        return RateLimited(System.RPM, text)
    if message.startswith("Rep not found"):
        return NotFound(System.RPM, text)
    if reads and message.startswith(("Agency not found", "Supplier not found")):
        return NotFound(System.RPM, text)
    if reads:
        return unexpected(System.RPM, "answered with an error that is not known here")
    issues = [Issue(path, quoted(message)) for start, path in _INPUT_AT_FAULT if message.startswith(start)]
    return Invalid(System.RPM, text, issues)
