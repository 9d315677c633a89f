"""API keys: random enough that their SHA-256 is all that the gateway needs to know."""

import hmac
import secrets
import tomllib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from peoplegraph.access.caller import Caller
from peoplegraph.settings import ApiKey, SettingsError

_PREFIX = "pgk_"
"""By which people, and tools that look for leaked secrets, know a key."""

_ENTRIES = TypeAdapter(list[ApiKey])


class ApiKeys:
    """The keys that callers may ask with."""

    def __init__(self, entries: Iterable[ApiKey]) -> None:
        self._callers = [
            (bytes.fromhex(entry.sha256.get_secret_value()), Caller(entry.name, "key", entry.scopes))
            for entry in entries
        ]

    def __repr__(self) -> str:
        return f"<ApiKeys {len(self._callers)}>"

    def find(self, key: str) -> Caller | None:
        """Return whose key it is, in a time that does not depend on it."""
        digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
        found = None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def new_key() -> tuple[str, str]:
    """Make a key; return it, and the SHA-256 by which the settings know it."""
    key = _PREFIX + secrets.token_urlsafe(32)
    return key, sha256(key.encode()).hexdigest()


def read_api_keys(path: Path) -> list[ApiKey]:
    """Read the keys in a TOML file, as `[[api_keys]]`. Raises `SettingsError`, without what is in the file."""
    variable = f"PEOPLEGRAPH_KEYS_FILE: {path}"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{variable}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise SettingsError(f"{variable} is not TOML") from None
    if content.keys() - {"api_keys"}:
        raise SettingsError(f"{variable} may have [[api_keys]], and nothing else")
    try:
        return _ENTRIES.validate_python(content.get("api_keys", []))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{variable}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
