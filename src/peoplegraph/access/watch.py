"""Files that are read anew when they change, while the gateway runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Generic, TypeVar

from peoplegraph.settings import SettingsError

T = TypeVar("T")

INTERVAL_S = 1.0
"""How often files are looked at."""

log = logging.getLogger(__name__)


class Watched(Generic[T]):
    """What files hold. The first reading raises `SettingsError`; a later one that fails leaves all as it was."""

    def __init__(self, paths: Iterable[Path], read: Callable[[], T]) -> None:
        self.paths = tuple(paths)
        self._read = read
        self._seen = self._stamps()
        self.value = read()

    def __repr__(self) -> str:
        return f"<Watched {', '.join(map(str, self.paths))}>"

    def look(self) -> None:
        """Read the files if they have changed."""
        if self.has_changed():
            self.reread()

    def has_changed(self) -> bool:
        """Whether the files have changed since this was asked before."""
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        return True

    def reread(self) -> None:
        """Read the files, whether or not they have changed."""
        try:
            self.value = self._read()
        except SettingsError as error:
            log.error("what was read before stays in force: %s", error)  # noqa: TRY400  # the operator's own error
        except Exception:  # whatever is in one file, the others are looked at
            log.exception("what was read before stays in force: %r cannot be read", self)
        else:
            log.info("read anew: %s", ", ".join(map(str, self.paths)))

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self.paths]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


@asynccontextmanager
async def watching(look: Callable[[], None], interval_s: float = INTERVAL_S) -> AsyncIterator[None]:
    """Look at files until the block ends; in a thread, since a file may be far away."""

    async def go_on() -> None:
        while True:
            await asyncio.sleep(interval_s)
            await asyncio.to_thread(look)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
