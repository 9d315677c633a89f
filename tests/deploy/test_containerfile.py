"""The Containerfile: what can be known of it without building it; test_image.py has the rest."""

import asyncio
import os
import re
import sys
import tomllib

from tests.deploy.containerfile import CONTAINERFILE, ROOT, environment, health_check, instruction, instructions
from tests.observe.processes import free_port, serving

TEXT = CONTAINERFILE.read_text(encoding="utf-8")
SYSTEM = {"PEOPLEGRAPH_RPM_URL": "https://rpm.example/Api2.svc", "PEOPLEGRAPH_RPM_API_KEY": "k"}


async def healthy(port: int) -> bool:
    """Run the image's health check here."""
    program, *arguments = health_check()
    assert program == "python3"
    variables = {**os.environ, "PEOPLEGRAPH_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=variables, stderr=asyncio.subprocess.DEVNULL
    )
    return await asyncio.wait_for(process.wait(), 30) == 0


async def test_the_health_check_asks_the_gateway() -> None:
    """It passes where the gateway serves, and fails where nobody listens, another does, or none answers."""
    async with serving(**SYSTEM, PEOPLEGRAPH_LOG_FORMAT="json") as served:
        assert await healthy(int(served.url.rsplit(":", 1)[1]))
    assert not await healthy(free_port())

    async def not_found(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    for answer in (not_found, mute):
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            assert not await healthy(server.sockets[0].getsockname()[1])


def test_the_environment_finds_its_python() -> None:
    """It is copied from a stage of the same base, whichever was asked for."""
    assert re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE) == ["${NODE}", "${BASE}", "${BASE}"]
    assert re.search(r"^ARG BASE=python:3\.\d+-slim$", TEXT, re.MULTILINE)


def test_the_image_has_every_extra() -> None:
    """Whatever a setting may need is there; what tests and lints is not."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    (given,) = re.findall(r"^ARG EXTRAS=(\S+)$", TEXT, re.MULTILINE)
    assert set(given.split(",")) == extras.keys() - {"test", "lint"}


def test_the_last_stage_runs_nothing_and_hears_signals() -> None:
    """It copies one folder, and its command is no shell's, so that SIGTERM gets to the gateway."""
    names = [name for name, _ in instructions()]
    assert "RUN" not in names
    assert instruction("COPY") == "--from=build /opt/peoplegraph /opt/peoplegraph"
    assert (instruction("ENTRYPOINT"), instruction("CMD")) == ('["peoplegraph"]', '["serve"]')


def test_the_build_sees_what_it_copies() -> None:
    """Of this folder the build is given what it copies, and nothing that may be secret."""
    ignored, *more = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()[1:]
    kept = {line.removeprefix("!") for line in more if line.startswith("!")}
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.+) \./\S*$", TEXT, re.MULTILINE) for name in line.split()
    }
    assert ignored == "*"
    assert kept == copied
    assert all((ROOT / name).exists() for name in kept)
    assert "src/peoplegraph/web/assets" in more  # they are built anew


def test_no_secret_is_in_the_image() -> None:
    """What the image sets is where it listens and how it logs, and nothing of anybody's."""
    assert environment().keys() == {
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PEOPLEGRAPH_HOST",
        "PEOPLEGRAPH_PORT",
        "PEOPLEGRAPH_LOG_FORMAT",
    }
