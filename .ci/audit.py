"""Run pip-audit, and tell "nothing is known against these pins" from "nobody could be asked".

Its exit code does not: where the index answers 404 to every look-up of advisories, as one that has files alone
does, it skips every pin and ends with 0, "No known vulnerabilities found"; where a name does not resolve it ends
with 1, as it does for a vulnerability. So a pin that everyone knows to be vulnerable goes first: a service that
holds nothing against that one is not asked about ours.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

KNOWN = f"jinja2==2.10 --hash=sha256:{'0' * 64}\n"  # CVE-2019-10906, among others; never installed

# What pip-audit says last where a service did not answer, or with something else than advisories.
UNREACHED = ("requests.exceptions.", "pip_audit._service.interface.", "Tip: your network may be blocking")


def ask(command: str, service: str, pins: str) -> list[dict[str, Any]] | None:
    """Return what a service knows of each pin; None where it could not be asked."""
    how = ["--disable-pip", "--progress-spinner", "off", "--format", "json", "--vulnerability-service", service]
    asked = subprocess.run(
        [command, "--require-hashes", "-r", pins, *how],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.stdout.startswith("{"):
        return json.loads(asked.stdout)["dependencies"]
    last = (asked.stderr.strip().splitlines() or [""])[-1]
    if any(said in last for said in UNREACHED):
        return None
    sys.exit(f"pip-audit ended with {asked.returncode}:\n{asked.stderr}")


def audit(command: str, lock: str) -> None:
    """End with 1 where something is known against a pin, or where a pin is not known at all."""
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder, "known.txt")
        known.write_text(KNOWN, encoding="utf-8")
        for service in ("pypi", "osv"):
            if not any(pin.get("vulns") for pin in ask(command, service, str(known)) or ()):
                continue
            pins = ask(command, service, lock)
            if pins is not None:
                break
        else:
            print("no advisory database could be reached: not audited")
            return
    wrong = [f"{pin['name']}: {pin['skip_reason']}" for pin in pins if "skip_reason" in pin]
    wrong += [
        f"{pin['name']} {pin['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'none'}"
        for pin in pins
        for found in pin.get("vulns", ())
    ]
    if wrong or not pins:
        sys.exit("\n".join(wrong or ["pip-audit read no pin"]))
    print(f"{len(pins)} pins: no known vulnerability ({service})")


if __name__ == "__main__":
    audit(*sys.argv[1:])
