"""Documents that a request names instead of sending them: trusted ones, and automatic persisted queries."""

import json
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import msgspec
from graphql import GraphQLError

from peoplegraph.access.caller import Caller
from peoplegraph.access.watch import Watched
from peoplegraph.errors import (
    BadInput,
    DocumentIdRequired,
    DocumentNotTrusted,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
)
from peoplegraph.scopes import Scope
from peoplegraph.settings import SettingsError, TrustMode

MAX_AUTOMATIC_CHARACTERS = 20_000_000
"""How much text automatic persisted queries may have together."""

MAX_TOLD = 1_000
"""How many documents that are not trusted are told apart in the log."""

APOLLO_FORMAT = "apollo-persisted-query-manifest"

_DIGEST = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger(__name__)


Check = Callable[[str], list[GraphQLError]]
"""Returns what is wrong with a document; from any thread."""


class Wanted(msgspec.Struct, frozen=True):
    """What a request says of its document: its text, the id of a trusted one, the hash of a persisted one."""

    text: str | None
    document_id: str | None
    sha256: str | None


def digest(text: str) -> str:
    """Return the hash by which clients know a document."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def parse_manifest(content: Any) -> dict[str, str]:
    """Return the documents in a manifest by their ids.

    Apollo's `generate-persisted-query-manifest` writes a list of operations, each with its `id` and `body`; Relay's
    compiler and graphql-codegen's client preset write an object of texts by id. Raises `ValueError`.
    """
    if isinstance(content, dict) and "operations" in content and isinstance(content["operations"], list):
        if content.get("format") != APOLLO_FORMAT or content.get("version") != 1:
            raise ValueError(f"its format must be {APOLLO_FORMAT}, version 1")
        entries = [each if isinstance(each, dict) else {} for each in content["operations"]]
        if not all(isinstance(each.get("id"), str) for each in entries):
            raise ValueError("each of its operations must have an id")
        content = {each["id"]: each.get("body") for each in entries}
    if not isinstance(content, dict) or not all(
        isinstance(each, str) and each for pair in content.items() for each in pair
    ):
        raise ValueError("it must be an object of documents by id, or a manifest of Apollo's")
    return content


class Manifest(msgspec.Struct, frozen=True):
    """The trusted documents by their ids, and the hashes of their texts."""

    documents: Mapping[str, str]
    hashes: frozenset[str]


def read_manifests(paths: Iterable[Path]) -> Manifest:
    """Read the trusted documents in several files. Raises `SettingsError`."""
    documents: dict[str, str] = {}
    for path in paths:
        variable = f"PEOPLEGRAPH_TRUSTED_MANIFEST: {path}"
        try:
            found = parse_manifest(json.loads(path.read_bytes()))
        except OSError as error:
            raise SettingsError(f"{variable}: {error.strerror}") from None
        except RecursionError:
            raise SettingsError(f"{variable}: it is nested too deeply") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{variable}: it is not UTF-8") from None
        except json.JSONDecodeError as error:
            raise SettingsError(f"{variable}: it is not JSON: {error}") from None
        except ValueError as error:  # a NUL in the path among them
            raise SettingsError(f"{variable}: {error}") from None
        for document_id, text in found.items():
            if documents.setdefault(document_id, text) != text:
                raise SettingsError(f"{variable}: {document_id} is another document elsewhere")
    return Manifest(documents, frozenset(map(digest, documents.values())))


class TrustedDocuments:
    """The documents in the manifest, and whether others may be sent."""

    def __init__(self, mode: TrustMode, paths: Iterable[Path], check: Check = lambda _: []) -> None:
        paths = list(paths)
        self.mode = mode
        self._check = check
        self.watched = Watched(paths, lambda: self._checked(read_manifests(paths)))
        self._told: OrderedDict[str, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<TrustedDocuments {self.mode} {len(self.watched.value.documents)}>"

    def get(self, document_id: str) -> str | None:
        """Return the text of a trusted document."""
        return self.watched.value.documents.get(document_id)

    def __contains__(self, hashed: str) -> bool:
        return hashed in self.watched.value.hashes

    def tell(self, text: str, caller: Caller) -> None:
        """Log that a caller sends a document that is not trusted: its hash, once."""
        hashed = digest(text)
        if hashed in self._told or hashed in self:
            return
        self._told[hashed] = None
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        log.warning("a document that is not trusted is sent by %s: %s", caller.alias, hashed)

    def _checked(self, manifest: Manifest) -> Manifest:
        """Log which documents cannot be executed: the schema may have gone on, and the others are good."""
        for document_id, text in manifest.documents.items():
            errors = self._check(text)
            if errors:
                log.warning("trusted document %s cannot be executed: %s", document_id[:100], errors[0].message)
        return manifest


class AutomaticQueries:
    """Queries that clients have sent once, by their hashes; the ones that were used longest ago are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._characters = 0
        self._texts: OrderedDict[str, str] = OrderedDict()

    def __repr__(self) -> str:
        return f"<AutomaticQueries {len(self._texts)}, {self._characters:,} characters>"

    def get(self, hashed: str) -> str | None:
        """Return a query's text."""
        text = self._texts.get(hashed)
        if text is not None:
            self._texts.move_to_end(hashed)
        return text

    def put(self, text: str) -> str | None:
        """Keep a query, and return its hash if it is new."""
        hashed = digest(text)
        if hashed in self._texts:
            return None
        self._texts[hashed] = text
        self._characters += len(text)
        while len(self._texts) > self._most or self._characters > MAX_AUTOMATIC_CHARACTERS:
            self._characters -= len(self._texts.popitem(last=False)[1])
        return hashed


class SharedQueries(Protocol):
    """Queries that clients have sent to any gateway of a group, by their hashes."""

    async def get(self, digest: str) -> str | None:
        """Return a query's text."""

    def put(self, digest: str, text: str) -> None:
        """Keep a query."""


class NamedDocuments:
    """From what a request says of its document to the text of it."""

    def __init__(
        self,
        trusted: TrustedDocuments | None,
        automatic: AutomaticQueries | None,
        shared: SharedQueries | None = None,
    ) -> None:
        self._trusted = trusted
        self._automatic = automatic
        self._shared = shared
        self.watched = [trusted.watched] if trusted is not None else []
        """The files that are read anew when they change."""

    async def fetch(self, wanted: Wanted) -> None:
        """Have a persisted query at hand that another gateway was sent."""
        hashed = (wanted.sha256 or "").lower()
        if self._shared is None or self._automatic is None or not _DIGEST.fullmatch(hashed):
            return
        if self._automatic.get(hashed) is None:
            text = await self._shared.get(hashed)
            if text is not None and digest(text) == hashed:
                self._automatic.put(text)

    def text(self, wanted: Wanted, caller: Caller) -> str:
        """Return the text of the document that is to be executed.

        Raises `DocumentIdRequired`, `DocumentNotTrusted`, `PersistedQueryNotFound`, `PersistedQueryNotSupported`,
        or `BadInput` where text and hash do not belong together.
        """
        named = wanted.document_id or wanted.sha256
        if named is None and self._trusted is None:
            return wanted.text or ""
        if self._trusted is not None:
            found = self._trusted.get(named) if named is not None else None
            if found is not None:
                return found
            if self._trusted.mode is TrustMode.ENFORCE and Scope.ADHOC not in caller.scopes:
                raise DocumentNotTrusted if named is not None else DocumentIdRequired
        if wanted.document_id is not None:
            raise DocumentNotTrusted
        text = wanted.text
        if text is None:
            text = self._persisted(wanted.sha256 or "")
        elif wanted.sha256 is not None and self._automatic is not None and digest(text) != wanted.sha256.lower():
            raise BadInput("provided sha does not match query")
        if self._trusted is not None and self._trusted.mode is TrustMode.LOG and Scope.ADHOC not in caller.scopes:
            self._trusted.tell(text, caller)
        return text

    def is_trusted(self, hashed: str) -> bool:
        """Whether a document is trusted, by the hash of its text, and however it was asked for."""
        return self._trusted is not None and hashed in self._trusted

    def keep(self, wanted: Wanted, executed: str) -> None:
        """Keep a query that came with its hash, once it is known to be valid, and to be what is executed."""
        if self._automatic is not None and wanted.sha256 is not None and wanted.text == executed:
            new = self._automatic.put(executed)
            if new is not None and self._shared is not None:
                self._shared.put(new, executed)

    def _persisted(self, hashed: str) -> str:
        if self._automatic is None:
            raise PersistedQueryNotSupported
        text = self._automatic.get(hashed.lower())
        if text is None:
            raise PersistedQueryNotFound
        return text
