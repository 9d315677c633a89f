"""A libc that is new enough for Tailcall's binary, where the machine's own is not: Debian trixie's, unpacked."""

import os
import platform
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
BINARY = HERE.parent / "node_modules/@tailcallhq/core-linux-x64-gnu/bin/tailcall"
UNPACKED = HERE.parent / ".libc"
LIBRARIES = UNPACKED / "usr/lib/x86_64-linux-gnu"
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")


def tailcall() -> list[str]:
    """Return the command that starts Tailcall's binary."""
    version = tuple(int(part) for part in platform.libc_ver()[1].split(".")[:2])
    if version >= (2, 39):
        return [str(BINARY)]
    if not LIBRARIES.is_dir():
        _unpack()
    paths = f"{LIBRARIES}:/lib/x86_64-linux-gnu"
    return [str(LIBRARIES / "ld-linux-x86-64.so.2"), "--library-path", paths, str(BINARY)]


def _unpack() -> None:
    """Have apt fetch trixie's libc6 from where this machine has its packages, and unpack it here."""
    parts = UNPACKED / "sources"
    for folder in (parts, UNPACKED / "lists/partial", UNPACKED / "cache/archives/partial"):
        folder.mkdir(parents=True, exist_ok=True)
    first = SOURCES.read_text().split("\n\n")[0]
    (parts / "trixie.sources").write_text(re.sub(r"(?m)^Suites:.*$", "Suites: trixie", first) + "\n")
    options = {
        "Dir::Etc::sourcelist": os.devnull,
        "Dir::Etc::sourceparts": str(parts),
        "Dir::State::lists": str(UNPACKED / "lists"),
        "Dir::Cache": str(UNPACKED / "cache"),
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", "libc6"], check=True, cwd=UNPACKED)
    (package,) = UNPACKED.glob("libc6_*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(UNPACKED)], check=True)
