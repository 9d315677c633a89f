"""Automatic persisted queries that any gateway of the group was sent."""

from peoplegraph.shared.group import Group
from peoplegraph.shared.keys import Keys
from peoplegraph.shared.link import Down
from peoplegraph.shared.seal import Seal, Unreadable

KEPT_S = 24 * 3600
"""How long a query is kept that no gateway asks for."""


class Queries:
    """Texts by their hashes, sealed: there may be a person's name in one."""

    def __init__(self, group: Group, keys: Keys, seal: Seal) -> None:
        self._group = group
        self._keys = keys
        self._seal = seal

    def __repr__(self) -> str:
        return f"<Queries of {self._group!r}>"

    async def get(self, digest: str) -> str | None:
        """Return a query's text; None if nobody has sent it, or the store is not there."""
        key = self._keys.query(digest)
        try:
            sealed = await self._group.ask("GETEX", key, "EX", KEPT_S)
            return None if sealed is None else self._seal.open(sealed, key).decode("utf-8", "surrogatepass")
        except (Down, Unreadable):
            return None

    def put(self, digest: str, text: str) -> None:
        """Keep a query; nobody waits for it."""
        key = self._keys.query(digest)
        value = self._seal.close(text.encode("utf-8", "surrogatepass"), key)
        self._group.ask("SET", key, value, "EX", KEPT_S)
