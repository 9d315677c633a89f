"""Builds the assets of the pages for a wheel or an install, if npm is there and they are not current."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LONGEST_S = 600


class PagesHook(BuildHookInterface):
    """Runs `npm ci` and the build; an install without npm goes on without assets, and its pages say so."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's signature
        """Build, unless what was built from the same sources is there."""
        root = Path(self.root)
        stamp = root / "src/peoplegraph/web/assets/sources.sha256"
        sources = digest(root)
        if stamp.is_file() and stamp.read_text(encoding="ascii") == sources:
            return
        npm = shutil.which("npm")
        if npm is None:
            self.app.display_warning("there is no npm: GraphiQL will come from a CDN, and there is no dashboard")
            return
        try:
            for arguments in (("ci", "--ignore-scripts", "--no-audit", "--no-fund"), ("run", "build")):
                subprocess.run(  # noqa: S603  # npm, with what is written here
                    [npm, *arguments],
                    cwd=root / "frontend",
                    check=True,
                    timeout=LONGEST_S,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
        except (subprocess.SubprocessError, OSError) as error:
            said = str(getattr(error, "output", None) or error).strip().splitlines()
            self.app.display_warning("\n".join(["npm did not build the assets of the pages:", *said[-10:]]))
            return
        stamp.write_text(sources, encoding="ascii")


def digest(root: Path) -> str:
    """Return what tells whether the sources have changed: `frontend/`, its lock file, and the README's queries."""
    hashed = hashlib.sha256()
    folder = root / "frontend"
    files = [path for path in folder.rglob("*") if path.is_file() and "node_modules" not in path.parts]
    for path in sorted([*files, root / "README.md"]):
        hashed.update(f"{path.relative_to(root).as_posix()}\0".encode())
        hashed.update(hashlib.sha256(path.read_bytes()).digest())
    return hashed.hexdigest()
