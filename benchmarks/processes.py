"""The processes that benchmarks run and look at: gateways, Valkey, and what /proc tells of them."""

import base64
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

SERVERS = ("valkey-server", "redis-server")
READY_S = 60
COMMAND = str(Path(sys.executable).with_name("peoplegraph"))


@contextlib.contextmanager
def started(command: list[str], *, core: int | None = None, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends, on one core if one is named."""
    process = subprocess.Popen([*pinned(core), *command], **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def pinned(core: int | None) -> list[str]:
    """Return what a command begins with to run on one core, where there are several."""
    return ["taskset", "-c", str(core)] if core is not None and several_cores() and shutil.which("taskset") else []


def several_cores() -> bool:
    """Whether the machine has more than one core."""
    return (os.cpu_count() or 1) > 1


@contextlib.contextmanager
def gateway(
    settings: Mapping[str, str], port: int, log: Path, *, core: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `peoplegraph serve` until the block ends; its log goes to a file. Whoever asks waits for `ready`."""
    named = {f"PEOPLEGRAPH_{name}": value for name, value in settings.items()}
    environment = {**os.environ, **named, "PEOPLEGRAPH_PORT": str(port), "PEOPLEGRAPH_LOG_LEVEL": "warning"}
    with log.open("wb") as file, started([COMMAND, "serve"], core=core, env=environment, stderr=file) as process:
        yield process


def is_ready(url: str) -> bool:
    """Ask a gateway whether it is ready."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def wait_until_ready(url: str, log: Path) -> None:
    """Wait until a gateway is ready; say what it logged where it never is."""
    until = time.monotonic() + READY_S
    while not is_ready(url):
        if time.monotonic() > until:
            sys.exit(f"{url} is not ready: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def metrics(url: str) -> dict[str, float]:
    """Return a gateway's metrics, by name and labels."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    rows = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in rows}


def total(found: Mapping[str, float], name: str, *labels: str) -> float:
    """Return the sum of a metric over all its labels, or over those that have each of the texts."""
    return sum(v for k, v in found.items() if k.partition("{")[0] == name and all(text in k for text in labels))


def are_together(urls: list[str]) -> bool:
    """Whether gateways that share a store know of each other."""
    return all(total(metrics(url), "peoplegraph_group_members") == len(urls) for url in urls)


def wait_until_together(urls: list[str]) -> None:
    """Wait until gateways that share a store know of each other."""
    until = time.monotonic() + READY_S
    while not are_together(urls):
        if time.monotonic() > until:
            sys.exit("the gateways do not find each other")
        time.sleep(0.1)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process and its threads have had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Return the memory that a process has."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024  # type: ignore[index]


def sockets(pid: int) -> int:
    """Return how many sockets a process has open."""
    found = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found += str(file.readlink()).startswith("socket:")
    return found


class Valkey:
    """A Valkey (or Redis) of our own, on a free port of loopback, without a file; it can be stopped and killed."""

    def __init__(self, folder: Path, core: int | None = None) -> None:
        server = next(filter(None, map(shutil.which, SERVERS)), None)
        if server is None:
            sys.exit("valkey-server is needed, or redis-server: apt-get install valkey-server || redis-server")
        self.port = free_port()
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._command = [*pinned(core), server, *words, "--loglevel", "warning"]
        self._process: subprocess.Popen[bytes] | None = None
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.settings = {"SHARED_URL": f"redis://127.0.0.1:{self.port}/0", "SHARED_KEY": key}

    @property
    def is_running(self) -> bool:
        """Whether there is a process, even one that hangs."""
        return self._process is not None

    @staticmethod
    def is_installed() -> bool:
        """Whether there is one on this machine."""
        return any(map(shutil.which, SERVERS))

    @contextlib.contextmanager
    def running(self) -> "Iterator[Valkey]":
        """Run it until the block ends."""
        self.start()
        try:
            yield self
        finally:
            self.kill()

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + READY_S
        while True:
            try:
                self.info()
            except OSError:
                if time.monotonic() > until or self._process.poll() is not None:
                    sys.exit("Valkey does not start")
                time.sleep(0.02)
            else:
                return

    def pause(self) -> None:
        """Let it hang: it keeps its connections, and answers nothing."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it; what it kept is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def info(self) -> dict[str, float]:
        """Return the figures that it has of itself. Raises `OSError`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"INFO everything\r\nQUIT\r\n")
            with connection.makefile("r", encoding="utf-8") as lines:
                rows = (line.strip().partition(":") for line in lines)
                return {name: float(value) for name, _, value in rows if re.fullmatch(r"\d+(\.\d+)?", value)}

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
