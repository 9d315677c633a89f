"""The metrics of several processes: nothing that an ended one has counted is lost, or counted twice."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from peoplegraph.observe.workers import LOCK, Workers

ENDED = 5_000_000
"""No process has such an id: Linux has none above 4,194,304."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as `serve` makes it."""
    (tmp_path / LOCK).touch()
    return tmp_path


def write(folder: Path, pid: int, requests: float) -> None:
    """Write what a process has counted, as prometheus_client has it: buckets are not cumulative."""
    counted: dict[str, list[tuple[str, str, dict[str, str], float]]] = {
        "counter": [("requests", "requests_total", {"status": "200"}, requests)],
        "histogram": [
            ("seconds", "seconds_bucket", {"le": "1.0"}, requests),
            ("seconds", "seconds_bucket", {"le": "+Inf"}, 1.0),
            ("seconds", "seconds_sum", {}, requests / 2),
        ],
        "gauge_livesum": [("ready", "ready", {}, 1.0)],
    }
    for kind, samples in counted.items():
        values = MmapedDict(folder / f"{kind}_{pid}.db")  # type: ignore[no-untyped-call]  # it has no annotations
        for metric, name, labels, value in samples:
            key = mmap_key(metric, name, list(labels), list(labels.values()), "")
            values.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
        values.close()  # type: ignore[no-untyped-call]


def read(folder: Path) -> dict[str, float]:
    """Return what is told of all."""
    return {
        f"{sample.name}{sample.labels.get('le', '')}": sample.value
        for metric in Workers(folder).collect()
        for sample in metric.samples
    }


def test_what_ended_is_added_up(folder: Path) -> None:
    """However often, the sum is the same, and there is one file of each kind; gauges of who has ended are gone."""
    for number in range(6):
        write(folder, ENDED + number, 10)
        for _ in range(2):
            assert read(folder) == {
                "requests_total": 10 * (number + 1),
                "seconds_bucket1.0": 10 * (number + 1),
                "seconds_bucket+Inf": 11 * (number + 1),
                "seconds_count": 11 * (number + 1),
                "seconds_sum": 5 * (number + 1),
            }
        assert {file.name for file in folder.iterdir()} == {"counter_ended.db", "histogram_ended.db", "lock"}


def test_who_was_killed_while_adding_up(folder: Path) -> None:
    """What was not finished is begun again."""
    write(folder, ENDED, 10)
    (folder / "counter_ended.new").write_bytes((folder / f"counter_{ENDED}.db").read_bytes())
    assert read(folder)["requests_total"] == 10


def test_many_read_while_others_end(folder: Path) -> None:
    """Whoever reads sees all of it, though files are added up and removed meanwhile."""
    for number in range(200):
        write(folder, ENDED + number, 1)

    def ended() -> None:
        for number in range(200):
            Workers(folder).ended(ENDED + number)

    with ThreadPoolExecutor(5) as threads:
        ending = threads.submit(ended)
        views = list(threads.map(lambda _: read(folder), range(20)))
        ending.result()
    assert {view["requests_total"] for view in views} == {200}
    assert {view["seconds_count"] for view in views} == {400}


def test_a_folder_of_somebody_elses(tmp_path: Path) -> None:
    """Where an application that embeds the gateway shares metrics, whose readers know of no lock, files stay."""
    write(tmp_path, ENDED, 10)
    assert read(tmp_path)["requests_total"] == 10
    assert {file.name for file in tmp_path.iterdir()} == {f"counter_{ENDED}.db", f"histogram_{ENDED}.db"}
