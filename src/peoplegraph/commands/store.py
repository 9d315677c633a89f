"""What `peoplegraph doctor` finds out about the store that gateways share."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    ResponseError,
)
from redis.exceptions import ConnectionError as BrokenOff
from redis.exceptions import TimeoutError as Late

from peoplegraph.commands.doctor import reason
from peoplegraph.settings import PREFIX, Settings
from peoplegraph.shared.keys import Keys, new_version
from peoplegraph.shared.link import FAILURES, Argument, Down, Ear, Line, Script, connected, reasons
from peoplegraph.shared.seal import Seal
from peoplegraph.shared.server import Server

TRIED_S = 5.0
"""How long all of it may take."""

SOON_MS = 1000
"""When the store forgets what was tried there."""

_URL = f"{PREFIX}SHARED_URL"
_RIGHTS = "docs/security.md has the commands, keys and channels that its user needs."

_NO_ROOM = ("maxmemory", "MISCONF", "NOREPLICAS", "Not enough good replicas")

_SAID = {
    AuthenticationError: f"it does not take the user and the password in {_URL}",
    BusyLoadingError: "it has just begun, and reads what it has on disk: try again",
    InvalidResponse: f"what answers there is no Valkey or Redis: is {_URL} right, port and all?",
    ResponseError: f"it refuses the connection: is the number of the database in {_URL} right?",
}


class Unfit(Exception):
    """The store can be reached, and gateways cannot share it; the message says why."""


async def examine_store(settings: Settings) -> tuple[bool, str]:
    """Return whether gateways can share the store, and what it is or what is wrong."""
    url = settings.shared.url.get_secret_value()
    try:
        return True, await _look(url, settings)
    except Exception as error:
        found = list(reasons(error))
        if not all(isinstance(each, (*FAILURES, Unfit)) for each in found):
            raise
        found.sort(key=lambda each: isinstance(each, Down))  # the connection has ended: for which reason?
        return False, _why(url, found[0])


async def _look(url: str, settings: Settings) -> str:
    loop = asyncio.get_running_loop()
    seal = Seal(settings.shared.key_bytes)
    async with asyncio.timeout(TRIED_S), connected(url) as (line, ear), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(line.run())
        server = Server.of((await line.ask("INFO")).decode())
        if wrong := server.unfit or server.risk:
            raise Unfit(wrong)
        began = loop.time()
        now_ms = await line.now_ms()
        took_ms = (loop.time() - began) * 1000
        await _try(line, ear, Keys(f"{settings.shared.group}:doctor", seal, {}), now_ms)
        keys = Keys(settings.shared.group, seal, {})
        members = await line.ask("ZRANGEBYSCORE", keys.members, now_ms, "+inf")
        running.cancel()
    found = f"{server.name} answered in {took_ms:.1f} ms; processes that share it now: {len(members)}"
    strangers = keys.strangers(members)
    return f"{found}, {strangers} of them with another {PREFIX}SHARED_KEY or release" if strangers else found


async def _try(line: Line, ear: Ear, keys: Keys, now_ms: int) -> None:
    """Do whatever gateways do there, under names that none of them has. Raises `Down`."""

    async def call(script: Script, names: list[str], *arguments: Argument) -> Any:
        await line.ask("SCRIPT", "LOAD", script.text)
        return await line.ask(*script.command(names, *arguments))

    who, kept = [keys.members, keys.shares], keys.query("")
    mine = keys.to("doctor")
    await ear.listen(keys.writes, mine)
    await call(Script.BEAT, who, "doctor", SOON_MS, SOON_MS, mine, "beat 0")
    await call(Script.TOUCH, [keys.members, keys.everything], new_version(), SOON_MS, keys.writes, "")
    await call(Script.FIND, [kept, keys.everything], new_version(), SOON_MS)
    await call(Script.TAKE, [keys.caller("")], 0, 0, SOON_MS, 0, 0, SOON_MS, 0)
    await line.ask("SET", kept, "", "PXAT", now_ms + SOON_MS)
    await line.ask("GETEX", kept, "PX", SOON_MS)
    await line.ask("PUBLISH", mine, "ack 0 doctor")
    await call(Script.LEAVE, who, "doctor")
    messages = ear.messages()
    for _ in ("beat", "write", "ack"):
        await anext(messages)


def _why(url: str, error: BaseException) -> str:
    """Say why gateways cannot share the store; in its own words only where the password cannot be among them."""
    if isinstance(error, Unfit):
        return str(error)
    if isinstance(error, Down | NoPermissionError):
        said = "".join(filter(str.isprintable, str(error))).rstrip(".")
        if any(word in said for word in _NO_ROOM):
            return f"{said}. It takes no writes as it is: its memory, its disk or its replicas are to be looked at."
        return f"{said}. {_RIGHTS}" if isinstance(error, NoPermissionError) or "refuses" in said else said
    parts = urlsplit(url)
    if isinstance(error, AuthenticationError) and parts.password is None:
        return f"it wants a password, and there is none in {_URL}"
    for kind, said in _SAID.items():
        if isinstance(error, kind):
            return said
    return f"it cannot be reached. {_hint(parts.scheme, error)}"


def _hint(scheme: str, error: BaseException) -> str:
    """Say what may be looked at."""
    cause = error.__context__
    if scheme == "redis" and isinstance(error, BrokenOff) and isinstance(cause, ConnectionResetError | None):
        return f"It breaks the connection off: does it speak TLS, and should {_URL} begin with rediss://?"
    if scheme == "rediss" and isinstance(error, Late | TimeoutError):
        return f"It does not answer: does it speak TLS, as {_URL} says?"
    if isinstance(cause, FileNotFoundError):
        return f"There is no such file as {_URL} names."
    return (reason(error) or "").format(prefix=f"{PREFIX}SHARED_")
