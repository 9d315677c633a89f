"""Who asks, and how: what an answer depends on beside the operation."""

from collections.abc import Callable, Iterable, Mapping

import msgspec
from starlette.types import Scope

from peoplegraph.access.caller import Caller
from peoplegraph.access.quotas import Quota
from peoplegraph.context import Context
from peoplegraph.web.protocol import PREFLIGHTED

Headers = Mapping[str, str]
"""Of a request's headers those that the gateway reads, by their names in lower case."""

_NAMES = ("accept", "authorization", "content-type", "x-deadline-ms")


class ReadHeaders:
    """Reads those headers of a request that the gateway knows, and decodes no other."""

    def __init__(self, credential_headers: Iterable[str] = ()) -> None:
        self.credential_headers = [name.lower() for name in credential_headers]
        self.names = (*_NAMES, *PREFLIGHTED, *self.credential_headers)
        self._names = {name.encode(): name for name in self.names}

    def __call__(self, scope: Scope) -> Headers:
        """Return them; one that is there several times is joined."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name = self._names.get(raw_name)
            if name is not None:
                value = raw_value.decode("latin-1")
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers


class Asking(msgspec.Struct, frozen=True):
    """A request that was let in."""

    request_id: str
    headers: Headers
    caller: Caller
    quota: Quota

    def __repr__(self) -> str:
        return f"<Asking {self.request_id} of {self.caller}>"


MakeContext = Callable[[Asking], Context]
"""Makes the context of a request."""
