"""The connections to Valkey or Redis: what is asked for together goes together, and nobody waits for long."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from hashlib import sha1
from importlib.resources import files
from typing import Any

from hiredis import pack_command
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

CONNECT_TIMEOUT_S = 2.0

LOOK_S = 0.01
LOOKS, MAX_LOOKS = 5, 20
"""How long the store may say nothing, and how long one answer may take, in looks. One that comes late, since the
event loop was busy, counts as one: it is not the store that was slow."""

Argument = str | bytes | int | float


class Down(Exception):
    """The store cannot be had for now."""


class Script(Enum):
    """What is done within the store, all of it or nothing; what each takes and returns is said in it."""

    BEAT = "beat"
    LEAVE = "leave"
    TOUCH = "touch"
    FIND = "find"
    TAKE = "take"

    @cached_property
    def text(self) -> str:
        """The script."""
        return (files(__package__) / "scripts" / f"{self.value}.lua").read_text(encoding="utf-8")

    @cached_property
    def digest(self) -> str:
        """What the store knows it by, once it was loaded."""
        return sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def command(self, keys: Sequence[str], *arguments: Argument) -> tuple[Argument, ...]:
        """Return what has the store do it, where it was loaded."""
        return ("EVALSHA", self.digest, len(keys), *keys, *arguments)


@dataclass(frozen=True, slots=True)
class Message:
    """What was published."""

    channel: str
    data: bytes


class Line:
    """A connection for commands; answers come in their order. `run` is what sends and receives."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._queue: list[tuple[tuple[Argument, ...], asyncio.Future[Any]]] = []
        self._asked: deque[tuple[int, asyncio.Future[Any]]] = deque()
        """What is waited for, and since which look."""
        self._wanted = asyncio.Event()
        self._late = asyncio.Event()
        self._looks = 0
        self._answered_at = 0
        """At which look the store said something."""
        self._looking: asyncio.TimerHandle | None = None
        self._ended = False
        self.commands = 0
        """How many were sent."""

    def __repr__(self) -> str:
        return f"<Line {len(self._asked) + len(self._queue)} waiting, {self.commands} sent>"

    def ask(self, *command: Argument) -> "asyncio.Future[Any]":
        """Return the future of a command's answer; it raises `Down`. Who does not wait for it may drop it."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        if self._ended:
            future.set_exception(Down("the connection has ended"))
        else:
            self._queue.append((command, future))
            self._wanted.set()
        return future

    async def now_ms(self) -> int:
        """Return the store's time. Raises `Down`."""
        seconds, microseconds = map(int, await self.ask("TIME"))
        return seconds * 1000 + microseconds // 1000

    async def run(self) -> None:
        """Send and receive until something goes wrong, which is raised; then whoever waits gets `Down`."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send())
                tasks.create_task(self._receive())
                tasks.create_task(self._give_up())
        finally:
            self._ended = True
            if self._looking is not None:
                self._looking.cancel()
            for _, future in (*self._asked, *self._queue):
                if not future.done():
                    future.set_exception(Down("the connection has ended"))

    async def _send(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            batch, self._queue = self._queue, []
            if not self._asked:
                self._answered_at = self._looks
            self._asked.extend((self._looks, future) for _, future in batch)
            self.commands += len(batch)
            self._look()
            packed = b"".join([pack_command(command) for command, _ in batch])  # type: ignore[arg-type]  # of any length
            await self._connection.send_packed_command(packed, check_health=False)

    async def _receive(self) -> None:
        while True:
            try:
                answer = await _read(self._connection)
            except ResponseError as error:
                answer = error
            if not self._asked:
                raise Down("the store answers what nobody asked")
            _, future = self._asked.popleft()
            self._answered_at = self._looks
            if isinstance(answer, ResponseError):
                # what it does not take may be what others must know; scripts are loaded with a new connection
                refused = Down(f"the store refuses: {answer}")
                if not future.done():
                    future.set_exception(refused)
                raise refused
            if not future.done():  # who waited may have been cancelled
                future.set_result(answer)

    def _look(self) -> None:
        """See to it that the answer to the oldest command is not waited for without end."""
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(LOOK_S, self._look_again)

    def _look_again(self) -> None:
        self._looking = None
        self._looks += 1
        if not self._asked:
            return
        since, _ = self._asked[0]
        if self._looks - self._answered_at > LOOKS or self._looks - since > MAX_LOOKS:
            self._late.set()
        else:
            self._look()

    async def _give_up(self) -> None:
        await self._late.wait()
        raise Down("the store does not answer in time")


class Ear:
    """A connection for what is published."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def listen(self, *channels: str) -> None:
        """Subscribe; once this has returned nothing that is published there is missed."""
        await self._connection.send_command("SUBSCRIBE", *channels, check_health=False)
        for _ in channels:
            await _read(self._connection)

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what is published, in its order, until the connection ends, which is raised."""
        while True:
            kind, channel, data = await _read(self._connection)
            if kind == b"message":
                yield Message(channel.decode(), data)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[Line, Ear]]:
    """Connect twice. Raises `RedisError` or `OSError`; neither connection is ever made anew."""
    pool = ConnectionPool.from_url(
        url,
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
    commands, events = (pool.make_connection() for _ in range(2))  # type: ignore[no-untyped-call]
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):  # for what is said to begin with, too
            await commands.connect()
            await events.connect()
        yield Line(commands), Ear(events)
    finally:
        for connection in (commands, events):
            await connection.disconnect(nowait=True)


def reasons(error: BaseException) -> Iterator[BaseException]:
    """Yield what is in groups of errors, however deep."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from reasons(each)
    else:
        yield error


async def _read(connection: AbstractConnection) -> Any:
    """Return what comes next. Raises `RedisError`, `OSError` or `Down`."""
    try:
        return await connection.read_response()
    except (RedisError, OSError):
        raise
    except Exception as error:  # the client has others for a connection that ends while it reads
        raise Down(f"the connection broke off: {type(error).__name__}") from error


FAILURES = (RedisError, OSError, Down)
"""What the ways to the store may raise."""


def _retrieve(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
