"""What is kept where others may read: names that tell nothing, and values that only the group can open."""

import hmac
from collections import OrderedDict
from hashlib import blake2b
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_SALT_BYTES = 16
_NONCE_BYTES = 12
_MAX_CIPHERS = 1_000
"""How many processes' ciphers are remembered: one for each that has written what is read."""


class Unreadable(Exception):
    """A value was not sealed with this key, or is not what it is kept as."""


class Seal:
    """Names and seals with a key of 32 bytes.

    Values are sealed with AES-256-GCM. Its nonces are random, and good for some billions of values under one key:
    each process has a key of its own, derived by a salt that stands before each value.
    """

    def __init__(self, key: bytes) -> None:
        self._naming = hmac.digest(key, b"peoplegraph names", "sha256")
        # Another number wherever names change: who does not know what a write is called must not understand it.
        self._sealing = hmac.digest(key, b"peoplegraph values 2", "sha256")
        self._salt = token_bytes(_SALT_BYTES)
        self._ciphers: OrderedDict[bytes, AESGCM] = OrderedDict()

    def __repr__(self) -> str:
        return "<Seal>"

    def name(self, *parts: str | bytes) -> str:
        """Return 32 letters that stand for some texts, each where it is; nobody without the key knows for which."""
        texts = [part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts]
        said = b"".join(b"%d:%s" % (len(text), text) for text in texts)
        return blake2b(said, digest_size=16, key=self._naming).hexdigest()

    def close(self, value: bytes, name: str) -> bytes:
        """Return a value that can be opened under the same name only."""
        nonce = token_bytes(_NONCE_BYTES)
        return self._salt + nonce + self._cipher(self._salt).encrypt(nonce, value, name.encode())

    def open(self, sealed: bytes, name: str) -> bytes:
        """Return a value that was sealed under a name. Raises `Unreadable`."""
        salt, nonce = sealed[:_SALT_BYTES], sealed[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
        try:
            return self._cipher(salt).decrypt(nonce, sealed[_SALT_BYTES + _NONCE_BYTES :], name.encode())
        except (InvalidTag, ValueError):
            raise Unreadable("it was not sealed with this key") from None

    def _cipher(self, salt: bytes) -> AESGCM:
        cipher = self._ciphers.get(salt)
        if cipher is None:
            cipher = self._ciphers[salt] = AESGCM(hmac.digest(self._sealing, salt, "sha256"))
            if len(self._ciphers) > _MAX_CIPHERS:
                self._ciphers.popitem(last=False)
        return cipher
