"""What gateways tell each other of a write: sealed, behind who tells it and its number, and who has heard of it."""

import asyncio
from collections.abc import Iterable

import msgspec

from peoplegraph.shared.seal import Seal
from peoplegraph.systems import System
from peoplegraph.upstream.call import Write


class _Told(msgspec.Struct, array_like=True):
    system: str
    """Its name; none, if anything may have been written."""
    tags: list[str]
    open_s: float


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Told).decode


def sealed(seal: Seal, channel: str, write: Write | None) -> bytes:
    """Return a write, or None that anything may have been written, as it is told on a channel."""
    told = _Told("", [], 0) if write is None else _Told(write.system.name, sorted(write.tags), write.open_s)
    return seal.close(_encode(told), channel)


def opened(seal: Seal, channel: str, told: bytes) -> Write | None:
    """Return a write that was told on a channel, or None that anything may have been written.

    Raises `Unreadable`, `msgspec.MsgspecError` or `KeyError`.
    """
    write = _decode(seal.open(told, channel))
    return Write(System[write.system], frozenset(write.tags), write.open_s) if write.system else None


class Acknowledged:
    """Who has heard of a write."""

    def __init__(self) -> None:
        self._heard: set[str] = set()
        self._awaited: set[str] | None = None
        self.all = asyncio.Event()
        """Set once everybody has of whom it is wanted."""

    def by(self, member: str) -> None:
        """Take note of one."""
        self._heard.add(member)
        self._look()

    def wanted_of(self, members: Iterable[str]) -> None:
        """Say of whom it is wanted."""
        self._awaited = set(members)
        self._look()

    def _look(self) -> None:
        if self._awaited is not None and self._awaited <= self._heard:
            self.all.set()
