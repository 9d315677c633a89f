"""Which names of operations the metrics tell apart.

Each name is some twenty series, in every process and in Prometheus, so their number has a bound; and callers make
up names as they like, so whoever comes first must not take them all. That a document is valid proves nothing, since
`{ __typename }` may have any name; and what fails or is refused is just what an operator looks for by its name. Nor
can a name give way to another one: prometheus_client takes back no series where processes share them.

So a name is told apart from its first use on, if whoever brings it has brought fewer than there is still room for:
one caller takes half of the room at most, the next one half of the rest. Names in trusted documents are the
operator's own, and have room of their own.
"""

MAX_NAME = 100
"""How much of an operation's name is told; one that is as long is not told apart."""

MAX_NAMES = 200
"""How many names of operations are told apart, and as many of trusted documents; the others are `other`."""


class Names:
    """The names that one process tells apart: `told` looks one up, `bring` and `trust` add one if there is room."""

    def __init__(self, most: int = MAX_NAMES) -> None:
        self.known: dict[str | None, str] = {None: "anonymous"}
        """What operations are called that are told apart, by their names."""
        self._brought: dict[str, int] = {}
        """How many names each caller has brought."""
        self._left = self._left_to_trusted = most

    def __repr__(self) -> str:
        known = len(self.known) - 1
        return f"<Names {known}, room for {self._left}, of trusted documents for {self._left_to_trusted}>"

    def told(self, name: str | None) -> str:
        """Return what an operation of this name is called."""
        return self.known.get(name, "other")

    def bring(self, name: str, caller: str) -> None:
        """Tell a name apart that a caller made up, if it has brought fewer than there is room for."""
        brought = self._brought.get(caller, 0)
        if name not in self.known and brought < self._left and len(name) < MAX_NAME:
            self.known[name] = name
            self._brought[caller] = brought + 1
            self._left -= 1

    def trust(self, name: str) -> None:
        """Tell a name apart that is a trusted document's, if there is room for it."""
        if name not in self.known and self._left_to_trusted and len(name) < MAX_NAME:
            self.known[name] = name
            self._left_to_trusted -= 1
