"""Global ids: opaque text that leads back to a type and a key in its system."""

import base64
import binascii

import strawberry

from peoplegraph.errors import BadInput


def encode_id(type_name: str, key: str) -> strawberry.ID:
    """Return the global id of the record of type `type_name` that its system knows as `key`."""
    return strawberry.ID(encode_opaque(f"{type_name}:{key}"))


def decode_id(global_id: str) -> tuple[str, str]:
    """Return the type name and the key in a global id; raises `BadInput` for what is none."""
    text = decode_opaque(global_id)
    type_name, colon, key = (text or "").partition(":")
    if not colon or not key:
        raise BadInput(f"{global_id[:100]!r} is not an id that this schema gives out")
    return type_name, key


def encode_opaque(text: str) -> str:
    """Return text that clients pass around and do not read: URL-safe, without padding."""
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def decode_opaque(opaque: str) -> str | None:
    """Return what `encode_opaque` was given, or None for anything that it never returns."""
    try:
        text = base64.b64decode(opaque + "=" * (-len(opaque) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        return None
    return text if encode_opaque(text) == opaque else None


@strawberry.interface(description="A record that can be asked for again by its global id.")
class Node:
    """What has a global id: the type's name and `key()`."""

    def key(self) -> str:
        """Return the key that the system knows the record by."""
        raise NotImplementedError

    @strawberry.field(description="The global id: opaque, stable, and accepted by `node` and `nodes`.")
    def id(self) -> strawberry.ID:
        return encode_id(type(self).__name__, self.key())
