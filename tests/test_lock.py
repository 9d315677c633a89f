"""requirements.lock: it pins what pyproject.toml asks for, and CI hears what is known against the pins."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TEXT = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LINES = re.sub(r" *\\\n *|^ *#.*\n", " ", TEXT, flags=re.MULTILINE)  # one a pin, without comments
PINS = [line.split(" --hash=") for line in map(str.strip, LINES.splitlines()) if line]
EXTRAS = PROJECT["project"]["optional-dependencies"]
WANTED = [
    *PROJECT["build-system"]["requires"],
    *PROJECT["project"]["dependencies"],
    *(wanted for extra in EXTRAS.values() for wanted in extra),
]
AUDIT = ROOT / ".ci/audit.py"

# What markers ask about, on what the project says it runs on.
MACHINES = [
    {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": platform}
    for python in re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    for platform in ("linux", "darwin")
]


@pytest.mark.parametrize(("pin", "hashes"), [(pin, hashes) for pin, *hashes in PINS])
def test_each_line_is_one_version_and_its_hashes(pin: str, hashes: list[str]) -> None:
    """No range, no address, no option: what is installed is these files, wherever they are had."""
    assert re.fullmatch(r"[a-z0-9-]+==[\w.!+]+( ; .+)?", pin)
    assert Requirement(pin).url is None
    assert hashes
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest.strip()) for digest in hashes)


def test_the_lock_names_no_index() -> None:
    """Where packages come from is the machine's own setting."""
    assert "://" not in TEXT
    assert not re.search(r"^\s*-(?!-hash=)", TEXT, re.MULTILINE)


@pytest.mark.parametrize("wanted", WANTED)
def test_what_is_asked_for_is_pinned(wanted: str) -> None:
    """Wherever a requirement holds, exactly one pin does, and its version is one that was asked for."""
    asked = Requirement(wanted)
    if asked.name == PROJECT["project"]["name"]:
        assert asked.extras <= EXTRAS.keys()
        return
    pins = [Requirement(pin) for pin, *_ in PINS]
    pins = [pin for pin in pins if pin.name == canonicalize_name(asked.name)]
    for machine in MACHINES:
        if asked.marker is None or asked.marker.evaluate(machine):
            (pin,) = (pin for pin in pins if pin.marker is None or pin.marker.evaluate(machine))
            (version,) = pin.specifier
            assert asked.specifier.contains(version.version), f"{pin} on {machine}: run .ci/lock"


KNOWN = '{"dependencies": [{"name": "jinja2", "version": "2.10", "vulns": [{"id": "CVE-1", "fix_versions": []}]}]}'
CLEAN = '{"dependencies": [{"name": "h2", "version": "4.4", "vulns": []}]}'
SKIPPED = '{"dependencies": [{"name": "h2", "skip_reason": "Dependency not found"}]}'
CUT = "Traceback\nrequests.exceptions.ConnectionError: Failed to resolve"


@pytest.mark.skipif(not AUDIT.exists(), reason="the source distribution has no .ci")
@pytest.mark.parametrize(
    ("of_the_known", "of_the_lock", "code", "said"),
    [
        (KNOWN, CLEAN, 0, "1 pins: no known vulnerability (pypi)"),
        (KNOWN, KNOWN, 1, "jinja2 2.10: CVE-1, fixed in none"),
        (KNOWN, SKIPPED, 1, "h2: Dependency not found"),  # it has others: this one was taken away
        (KNOWN, '{"dependencies": []}', 1, "pip-audit read no pin"),
        (KNOWN, CUT, 0, "not audited"),
        (SKIPPED, CLEAN, 0, "not audited"),  # pip-audit itself says "No known vulnerabilities found"
        (CUT, CLEAN, 0, "not audited"),
        ("pip-audit: error: unrecognized arguments", CLEAN, 1, "pip-audit ended with 1"),
        (KNOWN, "Traceback\nKeyError: 'vulns'", 1, "KeyError"),
    ],
)
def test_the_audit_tells_unknown_from_unasked(
    tmp_path: Path, of_the_known: str, of_the_lock: str, code: int, said: str
) -> None:
    """It fails for a vulnerability and for its own mistakes, and says so where nobody could be asked."""
    pip_audit = tmp_path / "pip-audit"
    pip_audit.write_text(
        f"#!{sys.executable} -IS\n"
        "import sys\n"
        f"said = {of_the_lock!r} if 'a.lock' in sys.argv else {of_the_known!r}\n"
        "print(said, file=sys.stdout if said[0] == '{' else sys.stderr)\n"
        "sys.exit(said[0] != '{' or 'CVE' in said)\n",
        encoding="utf-8",
    )
    pip_audit.chmod(0o700)
    audit = subprocess.run(
        [sys.executable, AUDIT, pip_audit, "a.lock"], capture_output=True, text=True, check=False
    )
    assert audit.returncode == code
    assert said in audit.stdout + audit.stderr
