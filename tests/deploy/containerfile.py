"""The Containerfile, as far as tests have to read it."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "Containerfile"


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the last stage, each with what it is given, on one line."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    last = re.split(r"^FROM .*\n", text, flags=re.MULTILINE)[-1]
    lines = re.sub(r"\\\n\s*", " ", last).strip().splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def instruction(name: str) -> str:
    """Return what the last stage's only instruction of a name is given."""
    (given,) = (given for found, given in instructions() if found == name)
    return given


def environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    return dict(re.findall(r"(\w+)=(\S+)", instruction("ENV")))


def health_check() -> list[str]:
    """Return the command that tells whether a container is well."""
    command: Any = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    return [str(word) for word in command]
