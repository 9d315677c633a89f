"""Who asks, and how: what an answer depends on beside the operation."""

import re
from collections.abc import Callable, Iterable, Mapping
from random import getrandbits

import msgspec
from starlette.types import Scope

from peoplegraph.access.caller import Caller
from peoplegraph.access.quotas import Quota, network
from peoplegraph.context import Context
from peoplegraph.observe.requests import Seen
from peoplegraph.web.protocol import PREFLIGHTED

Headers = Mapping[str, str]
"""Of a request's headers those that the gateway reads, by their names in lower case."""

_NAMES = ("accept", "authorization", "content-type", "x-deadline-ms", "x-request-id")


_TRACE = ("traceparent", "tracestate")


class ReadHeaders:
    """Reads those headers of a request that the gateway knows, and decodes no other."""

    def __init__(self, credential_headers: Iterable[str] = (), *, traces: bool = False) -> None:
        self.credential_headers = [name.lower() for name in credential_headers]
        self.names = (*_NAMES, *PREFLIGHTED, *self.credential_headers)
        self._names = {name.encode(): name for name in (*self.names, *(_TRACE if traces else ()))}

    def __call__(self, scope: Scope) -> Headers:
        """Return them; one that is there several times is joined."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name = self._names.get(raw_name)
            if name is not None:
                value = raw_value.decode("latin-1")
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers


_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,99}")


def request_id_of(headers: Headers) -> str:
    """Return the id that a request brings, where it is one, or one that nobody has."""
    given = headers.get("x-request-id")
    if given is not None and _SANE.fullmatch(given):
        return given
    return f"{getrandbits(128):032x}"


class Asking(msgspec.Struct, frozen=True):
    """A request that was let in."""

    headers: Headers
    caller: Caller
    quota: Quota
    seen: Seen

    def __repr__(self) -> str:
        return f"<Asking {self.request_id} of {self.caller}>"

    @property
    def request_id(self) -> str:
        """The request's id."""
        return self.seen.request_id

    @property
    def who(self) -> str:
        """Who asks, as quotas tell callers apart: who came without a credential is known by an address."""
        return self.caller.alias if self.caller.kind != "open" else network(self.seen.address)


MakeContext = Callable[[Asking], Context]
"""Makes the context of a request."""
