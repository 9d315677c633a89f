"""The part of the settings that says where gateways keep what they share."""

import binascii
import re
from base64 import b64decode
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

KEY_BYTES = 32

_DATABASE = re.compile(r"|/[0-9]*")
_OPTIONS = {
    "redis": frozenset[str](),
    "rediss": frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}),
    "unix": frozenset({"db"}),
}
"""What may stand behind a URL's question mark: nothing that has the client wait, ask again or trust anybody."""


def _store_url(secret: SecretStr) -> SecretStr:
    """Check the URL of a store; what is wrong is said without it, since there may be a password in it."""
    text = secret.get_secret_value()
    if not text:
        return secret
    try:
        url = urlsplit(text)
        is_file = url.scheme == "unix"
        has_place = bool(url.path if is_file else url.hostname) and (url.port != 0)
        has_place = has_place and bool(is_file or _DATABASE.fullmatch(url.path))
        options = {name for name, _ in parse_qsl(url.query, keep_blank_values=True)}
    except ValueError:
        has_place = False
    if not has_place or url.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError(
            "must be like redis://host:6379/0, rediss://host:6379/0 (TLS) or unix:///path, "
            "with what is special in a password percent-encoded"
        )
    if not options <= _OPTIONS[url.scheme]:
        may = ", ".join(sorted(_OPTIONS[url.scheme])) or "none"
        raise ValueError(f"has an option that it may not have; with {url.scheme}:// there may be: {may}")
    return secret


def _key(secret: SecretStr) -> SecretStr:
    try:
        key = b64decode(secret.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"must be {KEY_BYTES} random bytes in base64, as `openssl rand -base64 {KEY_BYTES}` prints"
        )
    return secret


class SharedSettings(BaseModel):
    """`PEOPLEGRAPH_SHARED_…`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[SecretStr, AfterValidator(_store_url)] = Field(
        default=SecretStr(""),
        description="A Valkey or Redis where gateways share what they keep, count and may call: "
        "`redis://host:6379/0`, `rediss://…` over TLS; without one each has its own. Needs the extra `shared`.",
    )
    key: Annotated[SecretStr, AfterValidator(_key)] | None = Field(
        default=None,
        description="32 random bytes in base64, the same for all gateways of a group: what they keep there is "
        "encrypted with it.",
    )
    group: str = Field(
        default="peoplegraph",
        pattern=r"^[0-9A-Za-z_.-]{1,50}$",
        description="The group's name there: gateways of one name share everything.",
    )

    @model_validator(mode="after")
    def _needs_a_key(self) -> "SharedSettings":
        if self.url.get_secret_value() and self.key is None:
            raise ValueError("key: is needed, since nothing is kept there that is not encrypted")
        return self

    @property
    def is_on(self) -> bool:
        """Whether there is anything to share with."""
        return bool(self.url.get_secret_value())

    @property
    def key_bytes(self) -> bytes:
        """The key itself."""
        return b64decode(self.key.get_secret_value()) if self.key is not None else b""
