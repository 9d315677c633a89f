"""Gateways in processes of their own, as `peoplegraph serve` starts them: their log, and what they answer."""

import asyncio
import json
import re
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.test_cli import command

QUERY = '{ representative(reference: "REP-021") { reference } }'
UPDATE = 'mutation { updateRepresentative(reference: "REP-021", input: { name: "X" }) { errors { message } } }'


@dataclass
class Served:
    """A gateway in a process of its own, or in several."""

    process: Process
    url: str
    events: list[dict[str, Any]]

    async def event(self, pattern: str) -> dict[str, Any]:
        """Wait for an event of the log that matches, and return it."""
        async with asyncio.timeout(30):
            while not (found := self.events_of(pattern)):  # noqa: ASYNC110  # a log has no event
                await asyncio.sleep(0.02)
        return found[0]

    def events_of(self, pattern: str) -> list[dict[str, Any]]:
        """Return the events that match."""
        return [event for event in self.events if re.search(pattern, event["event"])]

    async def ended(self) -> int:
        """Wait for its end; return the exit code."""
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def serving(*arguments: str, **environment: str) -> AsyncIterator[Served]:
    """Serve until the block ends, and read the log."""
    async with command("serve", "--port", "0", *arguments, **environment) as process:
        stderr = process.stderr
        assert stderr is not None
        events: list[dict[str, Any]] = []

        async def read() -> None:
            while line := await stderr.readline():
                events.append(json.loads(line))

        reading = asyncio.create_task(read())
        served = Served(process, "", events)
        running = await served.event("Uvicorn running on")
        served.url = re.search(r"http://[^ ]+", running["event"])[0]  # type: ignore[index]  # it has one
        async with httpx.AsyncClient(base_url=served.url) as client:
            async with asyncio.timeout(30):
                while not await is_ready(client):  # noqa: ASYNC110  # a worker has no event
                    await asyncio.sleep(0.05)
        try:
            yield served
        finally:
            if process.returncode is None:
                process.terminate()
                await asyncio.wait_for(process.wait(), 30)
            await reading


async def is_ready(client: httpx.AsyncClient) -> bool:
    """Ask whether it is ready."""
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def ask(client: httpx.AsyncClient, query: str = QUERY, **headers: str) -> httpx.Response:
    """Ask the endpoint."""
    return await client.post("/graphql", json={"query": query}, headers=headers, timeout=30)


async def said(process: Process, text: bytes) -> None:
    """Wait for a line of the log."""
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while text not in (line := await process.stderr.readline()):
            assert line, "it has ended"


def pid_of(event: dict[str, Any]) -> int:
    """Return the process that is told of."""
    return int(event["event"].split("[")[1].rstrip("]"))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
