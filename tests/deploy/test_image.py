"""The image, as it was built from the Containerfile: run without a network, without rights, unable to write."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from peoplegraph.sandbox.seed import human
from peoplegraph.scopes import Scope
from tests.access.callers import entry
from tests.deploy.containerfile import ROOT, health_check, instruction

IMAGE = os.environ.get("IMAGE", "")
PODMAN = shutil.which("podman") or "podman"
FENCED = "--runtime runc run --read-only --read-only-tmpfs=false --cap-drop ALL"
LIMITS = "--security-opt no-new-privileges --ulimit nofile=1024:1024 --ulimit nproc=1024:1024"
NAMES = {"PEOPLEGRAPH_ALLOWED_HOSTS": "people.example"}
NO_TIMER = "--health-interval=disable"  # it would take systemd; the check is run by the tests

ASK = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode() or None)
for header in sys.argv[3:]:
    request.add_header(*header.split(": "))
try:
    print(urllib.request.urlopen(request, timeout=10).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""

pytestmark = pytest.mark.skipif(not IMAGE, reason="IMAGE names no image; .ci/image builds one")


def podman(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run podman to its end."""
    return subprocess.run([PODMAN, *arguments], capture_output=True, text=True, timeout=60, check=False)


def run(*arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the image to its end."""
    return podman(
        *FENCED.split(), *LIMITS.split(), "--network", "none", "--rm", NO_TIMER, *options, IMAGE, *arguments
    )


@dataclass(frozen=True)
class Container:
    """A container that runs."""

    name: str

    def execute(self, *command: str) -> str:
        """Run a command inside; return what it prints."""
        done = podman("--runtime", "runc", "exec", self.name, *command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, path: str, body: str = "", *headers: str) -> str:
        """Ask the gateway, from inside."""
        return self.execute("python3", "-c", ASK, f"http://127.0.0.1:8000{path}", body, *headers).strip()

    def is_well(self) -> bool:
        """Run the image's own health check, as podman does."""
        return podman("--runtime", "runc", "healthcheck", "run", self.name).returncode == 0

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds."""
        ends = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < ends, self.log()
            time.sleep(0.1)

    def log(self) -> str:
        """Return what it has logged."""
        done = podman("logs", self.name)
        return done.stdout + done.stderr

    def stop(self) -> int:
        """End it as its STOPSIGNAL does; return its exit code."""
        podman("--runtime", "runc", "stop", "--time", "20", self.name)
        return int(podman("inspect", "--format", "{{.State.ExitCode}}", self.name).stdout)


@contextmanager
def running(
    *arguments: str, options: tuple[str, ...] = (), network: str = "none", **environment: str
) -> Iterator[Container]:
    """Run a container until the block ends."""
    variables = [option for name, value in environment.items() for option in ("--env", f"{name}={value}")]
    how = (*FENCED.split(), *LIMITS.split(), "--network", network, "--detach", NO_TIMER, *variables, *options)
    started = podman(*how, IMAGE, *arguments)
    assert started.returncode == 0, started.stderr
    container = Container(started.stdout.strip())
    try:
        yield container
    finally:
        podman("--runtime", "runc", "rm", "--force", "--time", "0", container.name)


def write_keys(folder: Path, digest: str) -> None:
    """Write the keys as the kubelet does: into a new folder, to which a link is then turned in one step."""
    new = folder / f"..{time.monotonic_ns()}"
    new.mkdir()
    text = f'[[api_keys]]\nname = "app"\nsha256 = "{digest}"\nscopes = ["representatives:read", "metrics"]\n'
    (new / "keys.toml").write_text(text)
    link = folder / "..new"
    link.symlink_to(new.name)
    link.replace(folder / "..data")
    if not (folder / "keys.toml").exists():
        (folder / "keys.toml").symlink_to("..data/keys.toml")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Return a folder to mount, which the container's user may read."""
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    return tmp_path


def mounted(keys: Path) -> tuple[str, ...]:
    """Return the options that mount the keys."""
    return ("--volume", f"{keys}:/etc/peoplegraph/keys:ro", "--env", "PEOPLEGRAPH_KEYS_FILE=keys/keys.toml")


def test_it_serves(keys: Path) -> None:
    """As nobody, on a file system that is read-only, it takes keys, also new ones, and answers from the systems."""
    (first, old), (second, new) = entry("app", Scope.REPRESENTATIVES_READ), entry("app", Scope.REPRESENTATIVES_READ)
    write_keys(keys, old["sha256"])
    with running("sandbox") as sandbox:
        sandbox.until(lambda: "faults are switched" in sandbox.log())
        settings = {**dict(re.findall(r"^(PEOPLEGRAPH_\w+)=(.+)$", sandbox.log(), re.MULTILINE)), **NAMES}
        with running(options=mounted(keys), network=f"container:{sandbox.name}", **settings) as gateway:
            gateway.until(gateway.is_well)
            body = json.dumps({"query": '{ representative(reference: "REP-021") { displayName } }'})
            kind = "Content-Type: application/json"

            def answer(key: str) -> str:
                return gateway.ask("/graphql", body, kind, "Host: people.example", f"Authorization: Bearer {key}")

            expected = {"data": {"representative": {"displayName": " ".join(human(21)[:2])}}}
            assert json.loads(answer(first)) == expected
            assert answer(second) == "401"
            write_keys(keys, new["sha256"])
            gateway.until(lambda: answer(second) != "401")
            assert json.loads(answer(second)) == expected
            assert answer(first) == "401"
            who = "import os; print(os.getuid(), os.getgid(), os.access('/', os.W_OK), os.access('/tmp', os.W_OK))"
            assert gateway.execute("python3", "-c", who) == "10001 10001 False False\n"
            assert gateway.stop() == 0
            assert "not ready any more" in gateway.log()


def test_the_health_check_tells() -> None:
    """The image's own check fails where nobody serves, so that who passes it serves."""
    with running("sandbox") as container:
        container.until(lambda: "faults are switched" in container.log())
        assert not container.is_well()


def test_several_workers_need_a_folder_for_their_metrics(keys: Path) -> None:
    """They begin with a /tmp in memory, and without one they say what is missing."""
    key, known = entry("app", Scope.METRICS)
    write_keys(keys, known["sha256"])
    system = {"PEOPLEGRAPH_RPM_URL": "https://rpm.example/Api2.svc", "PEOPLEGRAPH_RPM_API_KEY": "k"}
    two: dict[str, Any] = {**system, **NAMES, "PEOPLEGRAPH_WORKERS": "2"}
    with running(options=(*mounted(keys), "--tmpfs", "/tmp"), **two) as gateway:  # noqa: S108  # the container's
        gateway.until(gateway.is_well)
        headers = ("Host: people.example", f"Authorization: Bearer {key}")
        gateway.until(lambda: "\npeoplegraph_ready 2.0" in gateway.ask("/metrics", "", *headers))
        assert gateway.stop() == 0
    with running(options=mounted(keys), **two) as gateway:
        gateway.until(lambda: "No usable temporary directory" in gateway.log())


def test_it_is_not_open_by_mistake() -> None:
    """Without keys or tokens it does not begin, and says in one line what is missing."""
    system = ("--env=PEOPLEGRAPH_RPM_URL=https://rpm.example/Api2.svc", "--env=PEOPLEGRAPH_RPM_API_KEY=k")
    done = run(options=system)
    assert done.returncode == 2
    assert "PEOPLEGRAPH_HOST: 0.0.0.0 is not loopback" in done.stderr


def test_it_has_what_the_lock_pins_and_no_more() -> None:
    """Each package has the version of requirements.lock; what tests, lint and building need is not there."""
    told = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    done = podman(*FENCED.split(), *LIMITS.split(), "--rm", "--entrypoint", "python3", NO_TIMER, IMAGE, "-c", told)
    there = {package.lower().replace("_", "-") for package in done.stdout.split()}
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = set(re.findall(r"^([a-z0-9-]+==[^ ;]+)", lock, re.MULTILINE))
    ours = {package for package in there if package.startswith("peoplegraph==")}
    assert len(ours) == 1
    assert there - ours <= pins
    names = {package.partition("==")[0] for package in there}
    assert {"joserfc", "opentelemetry-sdk", "h2", "uvloop"} <= names
    assert not names & {"pip", "setuptools", "pytest", "mypy", "ruff", "hatchling", "hypothesis", "schemathesis"}


def test_it_has_the_pages() -> None:
    """What GraphiQL and the dashboard load is in the image."""
    look = "import json, pathlib, peoplegraph.web as web; folder = pathlib.Path(web.__file__).parent / 'assets'"
    look += "; print(*json.loads((folder / 'manifest.json').read_text())['pages'])"
    done = podman(*FENCED.split(), *LIMITS.split(), "--rm", "--entrypoint", "python3", NO_TIMER, IMAGE, "-c", look)
    assert {"graphiql", "dashboard"} <= set(done.stdout.split()), done.stderr


def test_what_is_in_its_description() -> None:
    """The image has the user, signal, check and command of the Containerfile, and nothing of how it was built."""
    (described,) = json.loads(podman("inspect", IMAGE).stdout)
    config = described["Config"]
    assert config["User"] == instruction("USER")
    assert config["StopSignal"] == instruction("STOPSIGNAL") == "SIGTERM"
    assert (config["Entrypoint"], config["Cmd"]) == (["peoplegraph"], ["serve"])
    assert config["Labels"]["org.opencontainers.image.title"] == "peoplegraph"
    assert not any(variable.startswith(("PIP_", "PEOPLEGRAPH_RPM")) for variable in config["Env"])
    assert described["Healthcheck"]["Test"] == ["CMD", *health_check()]
