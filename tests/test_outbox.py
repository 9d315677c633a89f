"""Writes that are gathered: in their order, and none lost."""

import asyncio
from typing import Any

from peoplegraph.outbox import MAX_BYTES, Outbox


class Wire(asyncio.Transport):
    """A transport that keeps each write."""

    def __init__(self, log: list[tuple[str, bytes]], name: str) -> None:
        super().__init__()
        self.log = log
        self.name = name
        self.closing = False

    def write(self, data: Any) -> None:
        """Keep a write."""
        self.log.append((self.name, data))

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closing


async def test_writes_of_one_turn_go_out_in_the_next() -> None:
    """What follows one another for one transport is one write; what is for a closed one is dropped."""
    log: list[tuple[str, bytes]] = []
    a, b, gone = Wire(log, "a"), Wire(log, "b"), Wire(log, "gone")
    outbox = Outbox()
    for wire, data in ((a, b"1"), (a, b"2"), (b, b"3"), (gone, b"4"), (a, b"5")):
        outbox.put(wire, data)
    gone.closing = True
    assert (log, repr(outbox)) == ([], "<Outbox 5 bytes waiting>")
    await asyncio.sleep(0)
    assert log == [("a", b"12"), ("b", b"3"), ("a", b"5")]
    outbox.put(b, b"6")
    outbox.put(b, b"")
    outbox.put(a, b"")
    await asyncio.sleep(0)
    assert log[3:] == [("b", b"6")]


async def test_much_is_written_at_once() -> None:
    """Who writes without end, and never waits, fills the transport and not the outbox."""
    log: list[tuple[str, bytes]] = []
    outbox, wire = Outbox(), Wire(log, "a")
    for _ in range(3):
        outbox.put(wire, bytes(MAX_BYTES // 2))
    assert [len(data) for _, data in log] == [MAX_BYTES // 2 * 3]
    outbox.flush()
    await asyncio.sleep(0)
    assert len(log) == 1
