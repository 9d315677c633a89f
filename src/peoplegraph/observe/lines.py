"""The log's lines, gathered: what one turn of the event loop has to say is written in the next one.

A write for each line is one for each request. An error does not wait, nor what is said where no loop runs.
"""

import asyncio
import logging
import select
from contextlib import suppress
from threading import RLock
from typing import TextIO

AT_ONCE_BYTES = getattr(select, "PIPE_BUF", 4096)
"""What a write has at most, unless a line is longer: a pipe takes more in parts, with other workers' between."""


class Lines:
    """Writes lines to a stream, in order, whichever threads they are from."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = RLock()  # what the garbage collector ends may log, in the middle of this
        self._waiting: list[str] = []
        self._due: asyncio.AbstractEventLoop | None = None
        """Whose next turn they are written in."""

    def __repr__(self) -> str:
        return f"<Lines {len(self._waiting)} waiting>"

    def put(self, line: str) -> None:
        """Write a line in the loop's next turn, with those that are put until then."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self.put_now(line)
        with self._lock:
            self._waiting.append(line)
            if self._due is not loop:
                self._due = loop
                loop.call_soon(self.flush)
        return None

    def put_now(self, line: str) -> None:
        """Write a line, and those that wait before it."""
        with self._lock:
            self._waiting.append(line)
            self.flush()

    debug = info = warning = put
    """What structlog calls, by level."""
    error = critical = put_now

    def flush(self) -> None:
        """Write what waits; nobody may read it any more."""
        with self._lock:
            waiting, self._waiting, self._due = self._waiting, [], None
            with suppress(OSError, ValueError):
                for piece in _pieces(waiting):
                    self._stream.write(piece)
                    self._stream.flush()


def _pieces(lines: list[str]) -> list[str]:
    """Join lines to texts that may be written at once."""
    pieces: list[str] = []
    size = AT_ONCE_BYTES
    for line in lines:
        more = len(line if line.isascii() else line.encode(errors="backslashreplace")) + 1
        size += more
        if size > AT_ONCE_BYTES:
            pieces.append("")
            size = more
        pieces[-1] += f"{line}\n"
    return pieces


class LinesHandler(logging.Handler):
    """Where `logging` leaves its records; from `least` on they do not wait. At exit it is flushed by `logging`."""

    def __init__(self, lines: Lines, least: int = logging.ERROR) -> None:
        super().__init__()
        self._lines = lines
        self._least = least

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # as the standard library's handlers do
            self.handleError(record)
        else:
            (self._lines.put_now if record.levelno >= self._least else self._lines.put)(line)

    def flush(self) -> None:
        """Write what waits."""
        self._lines.flush()
