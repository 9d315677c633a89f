"""Asks gateways over kept connections, as many at once or as often as wanted, in turns as a load balancer would.

HTTP/1.1 for what a gateway answers and no more: a head, a Content-Length, a body. It costs some 30 us a request,
since it shares the machine with what it measures.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

FRESH_S = 2.0
"""How long a connection may have been idle: the gateway closes one after five seconds."""

ANSWER_S = 60.0
"""How long anybody waits for an answer."""


class Connection(asyncio.Protocol):
    """One connection, with one request under way at most."""

    def __init__(self) -> None:
        self._received = b""
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None
        self.idle_since = 0.0
        self.is_open = True

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send a request; its status and its body come."""
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        """Give the answer out when it is whole."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._waiter is None:
            return
        head = self._received[:end].lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        if len(self._received) < end + 4 + length:
            return
        answer = int(head[9:12]), self._received[end + 4 :]
        self._received = b""
        waiter, self._waiter = self._waiter, None
        if not waiter.done():
            waiter.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request under way."""
        self.is_open = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(exc or ConnectionResetError("the gateway closed the connection"))

    def close(self) -> None:
        """Close it."""
        self._transport.close()


class Client:
    """Asks one gateway; opens as many connections as it takes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port or 80
        head = f"POST /graphql HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: application/json\r\n"
        self._head = f"{head}Content-Length: ".encode()
        self._idle: deque[Connection] = deque()

    def __repr__(self) -> str:
        return f"<Client {self.url} {len(self._idle)} idle>"

    async def ask(self, body: bytes) -> tuple[int, bytes]:
        """Ask once; return status and body. Raises `OSError`, `TimeoutError` among them."""
        connection = await self._connection()
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await connection.ask(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        except BaseException:
            connection.close()
            raise
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        return answer

    async def _connection(self) -> Connection:
        """Return the one that was used last, if it is fresh, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and time.monotonic() - connection.idle_since < FRESH_S:
                return connection
            connection.close()
        _, opened = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
        return opened

    def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._idle.pop().close()


Ask = Callable[[], Coroutine[Any, Any, None]]


async def closed_loop(ask: Ask, at_once: int, seconds: float) -> None:
    """Ask for so many seconds; each of so many callers asks again when it has its answer."""
    until = time.monotonic() + seconds

    async def caller() -> None:
        while time.monotonic() < until:
            await ask()

    async with asyncio.TaskGroup() as callers:
        for _ in range(at_once):
            callers.create_task(caller())


async def steadily(ask: Callable[[float], Coroutine[Any, Any, None]], per_s: float, seconds: float) -> None:
    """Ask so often for so many seconds, whether answers come or not; `ask` is told when it should have begun."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as asked:
        for number in range(int(per_s * seconds)):
            due = began + number / per_s
            await asyncio.sleep(due - time.monotonic())
            asked.create_task(ask(due))
