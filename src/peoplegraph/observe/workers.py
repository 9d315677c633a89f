"""The metrics of several processes, in a folder of files that each of them writes.

prometheus_client removes the gauges of a process that has ended, and leaves what it has counted, which must not be
lost: two files for each worker that SIGHUP replaced, all read at every scrape. Here they are added up in one file
of each kind, `…_ended.db`. Whoever reads or adds up keeps the others out, since a file that is gone by now, or is
added up already, would spoil what is read. In a folder of somebody else's, who has no lock, nothing is added up.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from peoplegraph.settings import is_running, share_metrics_in

LOCK = "lock"


def share_in(folder: Path) -> None:
    """Have the processes that this one starts share their metrics in a folder, which is theirs alone."""
    (folder / LOCK).touch()
    share_metrics_in(str(folder))


class Workers(Collector):
    """What all processes have counted, with those that have ended, and the gauges of those that run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<Workers {self._folder}>"

    def collect(self) -> Iterable[Metric]:
        """Read all files."""
        with _alone(self._folder) as is_ours:
            for pid in {_pid(file) for file in self._folder.glob("gauge_live*_*.db")}:
                if not is_running(pid):  # it was killed
                    self._drop_gauges(pid)
            if is_ours:
                for kind in ("counter", "histogram"):
                    self._add_up(kind)
            collector = MultiProcessCollector(None, self._folder)  # type: ignore[no-untyped-call]  # as all of it
            return list(collector.collect())  # type: ignore[no-untyped-call]

    def ended(self, pid: int | None) -> None:
        """Take the gauges of a process from those of all: it is about to end."""
        with _alone(self._folder):
            self._drop_gauges(pid)

    def _drop_gauges(self, pid: int | None) -> None:
        mark_process_dead(pid, self._folder)  # type: ignore[no-untyped-call]

    def _add_up(self, kind: str) -> None:
        """Put what ended processes have counted into one file; the values in files are not cumulative."""
        total = self._folder / f"{kind}_ended.db"
        files = [file for file in self._folder.glob(f"{kind}_*.db") if file != total]
        ended = [file for file in files if not is_running(_pid(file))]
        if not ended:
            return
        sums: defaultdict[str, float] = defaultdict(float)
        for file in (total, *ended) if total.exists() else ended:
            for key, value, *_ in MmapedDict.read_all_values_from_file(file):  # type: ignore[no-untyped-call]
                sums[key] += value
        new = self._folder / f"{kind}_ended.new"
        new.unlink(missing_ok=True)  # of whoever was killed while it wrote
        written = MmapedDict(new)  # type: ignore[no-untyped-call]
        for key, value in sums.items():
            written.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
        written.close()  # type: ignore[no-untyped-call]
        new.replace(total)
        for file in ended:
            file.unlink()


def _pid(file: Path) -> int:
    return int(file.stem.rpartition("_")[2])


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Keep others out who read or add up, in any process; yield whether the folder is the gateway's own."""
    lock = folder / LOCK
    if not lock.exists():
        yield False
        return
    import fcntl  # noqa: PLC0415  # there is none on Windows

    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # until it is closed, or this process is no more
        yield True
