"""Who asks, and how: what an answer depends on beside the operation."""

from collections.abc import Callable, Mapping

import msgspec

from peoplegraph.access.caller import Caller
from peoplegraph.access.quotas import Quota
from peoplegraph.context import Context

Headers = Mapping[str, str]
"""Of a request's headers those that the gateway reads, by their names in lower case."""


class Asking(msgspec.Struct, frozen=True):
    """A request that was let in."""

    request_id: str
    headers: Headers
    caller: Caller
    quota: Quota


MakeContext = Callable[[Asking], Context]
"""Makes the context of a request."""
