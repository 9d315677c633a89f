"""The names that a request may know the gateway by: a page of another's, whose name is made to lead here, fails."""

import re
from collections.abc import Collection, Iterable

_PORT = re.compile(r"(?<=[^:]):\d{0,5}$")

MAX_KNOWN = 1_000


class Hosts:
    """Tells whether a `Host` header is one of those that there may be."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._exact = {name.lower() for name in allowed}
        self._below = tuple(name[1:].lower() for name in allowed if name.startswith("*."))
        self._known: set[bytes] = set()

    def __repr__(self) -> str:
        return f"<Hosts {sorted(self._exact)}>"

    def allow(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request has one `Host`, and it may be that; whatever it is where that is `*`."""
        found = None
        for name, value in headers:
            if name == b"host":
                if found is not None:
                    return False
                found = value
        if found in self._known:
            return True
        if "*" in self._exact:
            return True
        if found is None or not self._allows(found.decode("latin-1").lower()):
            return False
        if len(self._known) < MAX_KNOWN:
            self._known.add(found)
        return True

    def _allows(self, host: str) -> bool:
        name = _PORT.sub("", host).rstrip(".")
        return name in self._exact or name.endswith(self._below or ("\0",))
