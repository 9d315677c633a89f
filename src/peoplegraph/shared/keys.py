"""What things are called in the store: nothing of it tells whom or what it is about."""

from collections.abc import Iterable, Mapping
from secrets import token_hex

from peoplegraph.shared.seal import Seal
from peoplegraph.systems import System
from peoplegraph.upstream.call import Call


class Keys:
    """The keys of one group, and the channels. `bases` are the systems' URLs: another system has other answers."""

    def __init__(self, group: str, seal: Seal, bases: Mapping[System, str]) -> None:
        self._group = group
        self._seal = seal
        self._bases = bases
        self.members = f"{group}:members"
        self.shares = f"{group}:shares"
        self.writes = f"{group}:writes"
        """The channel where each write is told."""
        self.everything = self._version("everything")
        """The version of all answers."""
        self._whose = seal.name("member", group)[:8]

    def __repr__(self) -> str:
        return f"<Keys of {self._group}>"

    def new_member(self) -> str:
        """Return a name for a process: those with one key, of releases that understand each other, begin alike."""
        return f"{self._whose}-{token_hex(8)}"

    def strangers(self, members: Iterable[bytes]) -> int:
        """Return how many of the members have another key, or are of a release that is not understood."""
        return sum(not member.startswith(self._whose.encode()) for member in members)

    def to(self, member: str) -> str:
        """Return the channel where one member alone is told something."""
        return f"{self._group}:to:{member}"

    def versions(self, system: System, tags: frozenset[str]) -> list[str]:
        """Return the versions of what a call tells of, or touches."""
        return [self._version("tag", system.name, tag) for tag in sorted(tags)]

    def answer(self, call: Call, server: str, ttl_s: float) -> str:
        """Return where the answer to a call is kept for so long, by one server.

        Another server may know less of what was written; and who keeps answers for longer has older ones.
        """
        body = ("",) if call.body is None else ("body", call.body)
        credential = call.credential
        whose = (credential.header, credential.secret)
        place = (call.system.name, self._bases[call.system], call.method, call.target)
        return f"{self._group}:answer:{self._seal.name('answer', server, str(ttl_s), *place, *whose, *body)}"

    def caller(self, *who: str) -> str:
        """Return where a caller's buckets are."""
        return f"{self._group}:caller:{self._seal.name('caller', *who)}"

    def query(self, digest: str) -> str:
        """Return where an automatic persisted query is kept."""
        return f"{self._group}:query:{self._seal.name('query', digest)}"

    def _version(self, *what: str) -> str:
        return f"{self._group}:version:{self._seal.name('version', *what)}"


def new_version() -> str:
    """Return what no version was before."""
    return token_hex(8)
