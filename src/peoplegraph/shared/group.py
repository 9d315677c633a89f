"""The gateways that share a store: who lives, and who has heard of what was written.

What a gateway keeps in its own memory may be given out without asking anybody, since a write is answered only once
every gateway has dropped what it touches. Who does not hear of it, or cannot say so, holds a lease that runs out: a
gateway trusts what it keeps for `LEASE_S` from each beat that it sent *and heard back* on the connection that
brings the writes, behind all that were told before (Gray and Cheriton, "Leases", SOSP 1989).
"""

import asyncio
import logging
import random
from collections.abc import Collection
from contextlib import suppress
from itertools import count
from typing import Any, Protocol

import msgspec
from redis.exceptions import AuthenticationError, ResponseError

from peoplegraph.observe import metrics
from peoplegraph.shared.budget import Budget
from peoplegraph.shared.keys import Keys, new_version
from peoplegraph.shared.link import FAILURES, Argument, Down, Ear, Line, Script, connected, reasons
from peoplegraph.shared.seal import Seal, Unreadable
from peoplegraph.shared.server import Server
from peoplegraph.shared.writes import Acknowledged, opened, sealed
from peoplegraph.upstream.call import Write

LEASE_S = 2.0
"""How long a gateway trusts what it keeps, from the last beat that it heard back; and so how long a write waits for
a gateway that was killed."""

BEAT_S = 0.5
"""How often a gateway says that it lives."""

FORGET_S = 10.0
"""For how long a gateway that says nothing keeps its share of the systems: it may only be cut off, and calls
them."""

JOIN_S = 1.0
"""How long the store may take to let a gateway in."""

SETTLE_S = 2.0
"""How long a gateway that comes back takes no more of a system than it had: the others may be about to come
back."""

MIN_PAUSE_S, FIRST_PAUSE_S, MAX_PAUSE_S = 0.02, 0.1, 2.0
"""How long a gateway waits before it tries again: the least if somebody wants to write, otherwise twice as long
each time that it was not in for long."""

RETURN_S = 0.25
"""How long a write waits for the store to be back, if it was lost for longer than any lease."""

VERSION_S = 900.0
"""How long a version stands beside the time that answers are kept. Behind that they are asked for anew, once."""

STRANGERS = "another gateway of the group has another PEOPLEGRAPH_SHARED_KEY, or another release"

log = logging.getLogger(__name__)


class Keeper(Protocol):
    """Who keeps something that a write may touch."""

    def touched(self, write: Write) -> None:
        """Drop what a write touches."""

    def forget(self) -> None:
        """Drop everything."""


class Group:
    """This gateway's part in its group. `run` takes part, and comes back whenever the store does."""

    def __init__(self, url: str, keys: Keys, seal: Seal, keep_s: float) -> None:
        self._url = url
        self._keys = keys
        self._seal = seal
        self.version_ms = round((keep_s + VERSION_S) * 1000)
        """How long a version stands."""
        self._keepers: Collection[Keeper] = ()
        self._member = keys.new_member()
        self._line: Line | None = None
        """The way to the store; None while there is none."""
        self.server = ""
        """Which server it is, and since which start: answers that another one has may be older than its writes."""
        self.joined = asyncio.Event()
        self.members = 0
        self._trusted_until = 0.0
        self._numbers = count(1)
        self._awaited: dict[int, Acknowledged] = {}
        self._beats: dict[int, float] = {}
        self._lost_at = 0.0
        self._attempted = asyncio.Event()
        """Set, and another one in its place, when an attempt to be in has come to something."""
        self._hurry = asyncio.Event()
        """Set by who waits for the next one."""
        self._owes = False
        """Whether something may have been written that the store does not know of: by this gateway, or by another
        that has lost the store as well."""
        self._known_at = 0.0
        """From when on the store knows all who trust what they keep: one that has begun anew may not yet."""
        self._why = ""
        self._warned: set[str] = set()
        """What was warned of, since this gateway is in."""
        self._has_left = False

    def __repr__(self) -> str:
        return f"<Group of {self.members}, {'trusted' if self.is_trusted else 'alone'}>"

    @property
    def is_trusted(self) -> bool:
        """Whether what this process keeps tells of all writes that were answered, through whichever gateway."""
        return asyncio.get_running_loop().time() < self._trusted_until

    def ask(self, *command: Argument) -> "asyncio.Future[Any]":
        """Return the future of what the store answers; it raises `Down`. Who does not wait for it may drop it."""
        if self._line is None:
            nothing: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            nothing.set_exception(Down("the store is not there"))
            nothing.exception()
            return nothing
        return self._line.ask(*command)

    def call(self, script: Script, keys: list[str], *arguments: Argument) -> "asyncio.Future[Any]":
        """Return the future of what a script returns; see `ask`."""
        return self.ask(*script.command(keys, *arguments))

    async def touched(self, write: Write) -> None:
        """Tell all gateways of a write; once this returns none of them gives out what it kept before.

        Without the store it returns once the leases of all have run out that may have lost it, too.
        """
        with metrics.GROUP_WRITE_SECONDS.time():
            await self._tell(write)

    async def _tell(self, write: Write) -> None:
        loop = asyncio.get_running_loop()
        trusted_until: float | None = None
        give_up_at = 0.0
        while True:
            was_alone = self._line is None
            try:
                await self._announce(write)
            except Down:
                self._owes = True
            else:
                return
            if trusted_until is None:
                trusted_until = (self._lost_at if was_alone else loop.time()) + LEASE_S
                give_up_at = max(trusted_until, loop.time()) + RETURN_S
            if loop.time() >= give_up_at or not await self._is_back(trusted_until):
                return  # a store may also let this gateway in, and take nothing: when its memory is full

    async def _is_back(self, trusted_until: float) -> bool:
        """Wait for the store: it may only have been slow, and the others may not have lost it.

        Return False once who has lost it, too, trusts nothing any more, and coming back was tried in vain.
        """
        loop = asyncio.get_running_loop()
        give_up_at = max(trusted_until, loop.time() + RETURN_S)
        self._hurry.set()
        failures = 0
        while failures < 2 or loop.time() < trusted_until:  # the first may have begun before this
            try:
                async with asyncio.timeout_at(give_up_at):
                    await self._attempted.wait()
            except TimeoutError:
                break
            if self._line is not None:
                return True
            failures += 1
        return False

    async def _announce(self, write: Write) -> None:
        """Tell of a write, and wait until all have heard. Raises `Down`."""
        number = next(self._numbers)
        acknowledged = self._awaited[number] = Acknowledged()
        try:
            acknowledged.wanted_of(await self._publish(number, write))
            self._touch(write)  # a read may have found in the store what was there just before
            async with asyncio.timeout(LEASE_S):
                await acknowledged.all.wait()
            await asyncio.sleep(max(0.0, self._known_at - asyncio.get_running_loop().time()))
        except TimeoutError:
            metrics.GROUP_UNHEARD.inc()  # who did not hear of it trusts nothing any more
        finally:
            del self._awaited[number]

    async def _publish(self, number: int, write: Write | None) -> set[str]:
        """Tell of a write, or of None that anything may have been written; return who must have heard of it.

        Raises `Down`.
        """
        member = self._member
        version, stands_ms = new_version(), self.version_ms
        versions = [self._keys.everything]
        if write is not None:
            versions = self._keys.versions(write.system, write.tags)
            if write.open_s:
                version, stands_ms = f"open{version}", round(write.open_s * 1000)
        message = f"{member} {number} ".encode() + sealed(self._seal, self._keys.writes, write)
        keys = [self._keys.members, *versions]
        members = await self.call(Script.TOUCH, keys, version, stands_ms, self._keys.writes, message)
        return {other.decode() for other in members} - {member}

    async def run(self, budget: Budget, keepers: Collection[Keeper]) -> None:
        """Take part until cancelled; `keepers` are told of each write, and when to keep nothing."""
        loop = asyncio.get_running_loop()
        self._keepers, self._has_left = keepers, False
        self._lost_at = loop.time()
        pause_s = FIRST_PAUSE_S
        while True:
            began = loop.time()
            self._hurry.clear()
            try:
                await self._take_part(budget)
            except asyncio.CancelledError:
                self._part()
                raise
            except Exception as error:  # noqa: BLE001  # whatever it was, the gateway comes back
                self._part()
                if self._has_left:
                    return  # and was cancelled, which a task group hides that fails at that very moment
                self._tell_why(error)
                self._attempt_over()
            pause_s = min(pause_s * 2, MAX_PAUSE_S) if loop.time() < began + MAX_PAUSE_S else FIRST_PAUSE_S
            await asyncio.sleep(MIN_PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s * random.uniform(0.5, 1)):  # noqa: S311  # not all at once
                    await self._hurry.wait()

    def _attempt_over(self) -> None:
        self._attempted.set()
        self._attempted = asyncio.Event()

    def _tell_why(self, error: Exception) -> None:
        """Log why the store is not there, once as long as it is for the same reason."""
        found = list(reasons(error))
        why = "; ".join(sorted({_said(each) for each in found}))
        if not all(isinstance(each, FAILURES) for each in found):
            log.error("the shared store is not there, and this should not have happened", exc_info=error)
        elif why != self._why:
            log.warning("the shared store is not there, and nothing is kept until it is: %s (try doctor)", why)
        self._why = why

    async def leave(self) -> None:
        """Tell that this gateway ends, so that nobody waits for it."""
        self._has_left = True
        if self._line is not None:
            with suppress(Down, TimeoutError):
                async with asyncio.timeout(JOIN_S):
                    await self.call(Script.LEAVE, [self._keys.members, self._keys.shares], self._member)

    async def _take_part(self, budget: Budget) -> None:
        async with connected(self._url) as (line, ear), asyncio.TaskGroup() as tasks:
            tasks.create_task(line.run())
            async with asyncio.timeout(JOIN_S):
                for _ in range(3):  # so that one that is slow is not taken for one that is back
                    await line.ask("PING")
                for script in Script:
                    await line.ask("SCRIPT", "LOAD", script.text)
                server = await _server(line)
                self.server = server.run
                is_new = server.uptime_s <= LEASE_S + 1
                self._known_at = asyncio.get_running_loop().time() + LEASE_S if is_new else 0.0
                await ear.listen(self._keys.writes, self._keys.to(self._member))
                members = await line.ask("ZRANGEBYSCORE", self._keys.members, await line.now_ms(), "+inf")
                if self._keys.strangers(members):
                    self._warn(STRANGERS)
            self._line = line
            self._attempt_over()
            tasks.create_task(self._hear(ear))
            if self._owes:
                self._owes = False
                await self._publish(0, None)
            tasks.create_task(self._beat(budget))

    def _part(self) -> None:
        """Trust nothing that is kept, since others may write."""
        was_in = self._line is not None
        self._line = None
        self.joined.clear()
        self.members = 0
        self._trusted_until = 0.0
        self._beats.clear()
        self._warned.clear()
        if was_in and not self._has_left:
            self._lost_at = asyncio.get_running_loop().time()
            self._owes = True
            metrics.GROUP_LOSSES.inc()
        self._forget()

    def _touch(self, write: Write) -> None:
        for keeper in self._keepers:
            keeper.touched(write)

    def _forget(self) -> None:
        for keeper in self._keepers:
            keeper.forget()

    async def _beat(self, budget: Budget) -> None:
        loop = asyncio.get_running_loop()
        settled_at = loop.time() + SETTLE_S if budget.has_shares else 0.0
        while not self._has_left:
            number = next(self._numbers)
            self._beats[number] = loop.time()
            if len(self._beats) > LEASE_S / BEAT_S:
                raise Down("the store does not bring back what was published")
            members, *shares = await self.call(
                Script.BEAT,
                [self._keys.members, self._keys.shares],
                self._member,
                round(LEASE_S * 1000),
                round(FORGET_S * 1000),
                self._keys.to(self._member),
                f"beat {number}",
                *budget.wants(),
            )
            self.members = members
            budget.take(shares, may_grow=loop.time() >= settled_at)
            await asyncio.sleep(BEAT_S)

    async def _hear(self, ear: Ear) -> None:
        async for message in ear.messages():
            try:
                if message.channel == self._keys.writes:
                    self._heard(message.data)
                else:
                    self._told(*message.data.decode().split())
            except (ValueError, TypeError):
                self._warn("somebody else publishes where the gateways of the group do")
                self._forget()

    def _told(self, kind: str, number: str, member: str = "") -> None:
        """Take note of what came back to this gateway: its beat, or that another has heard of a write."""
        if kind == "beat":
            sent = self._beats.pop(int(number), None)
            if sent is not None:
                self._trust(sent + LEASE_S)
        elif int(number) in self._awaited:
            self._awaited[int(number)].by(member)

    def _trust(self, until: float) -> None:
        """Trust what is kept until a time, and nothing from before if there was a gap."""
        now = asyncio.get_running_loop().time()
        if self._trusted_until <= now:
            self._forget()
        self._trusted_until = until
        if until > now and not self.joined.is_set():
            log.info("the shared store is there")
            self._why = ""
            self.joined.set()

    def _heard(self, data: bytes) -> None:
        """Drop what another gateway has written, and say so."""
        writer, number, told = data.split(b" ", 2)
        if writer.decode() == self._member:
            return
        acknowledge = ("PUBLISH", self._keys.to(writer.decode()), f"ack {number.decode()} {self._member}")
        try:
            write = opened(self._seal, self._keys.writes, told)
        except (Unreadable, msgspec.MsgspecError, KeyError):
            # somebody with another key, or of another release: what it wrote is not known, and what is kept in the
            # store under our own names does not know of it either
            self._warn(STRANGERS)
            self._forget()
            self.call(
                Script.TOUCH, [self._keys.members, self._keys.everything], new_version(), self.version_ms, "", ""
            )
            self.ask(*acknowledge)  # behind it, on the same connection
            return
        if write is None:
            self._forget()
        else:
            self._touch(write)
        self.ask(*acknowledge)

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            log.warning(what)
        self._warned.add(what)


def _said(error: BaseException) -> str:
    """Return what an error says, where that can be none of what was sent to begin with: the password."""
    if isinstance(error, (ResponseError, AuthenticationError)):
        return f"it lets nobody in like this, {type(error).__name__}"
    return str(error) or type(error).__name__


async def _server(line: Line) -> Server:
    """Return which process serves the store, and tell what may go wrong with it."""
    server = Server.of((await line.ask("INFO")).decode())
    if server.unfit:
        raise Down(server.unfit)
    if server.risk:
        log.warning("the shared store has a risk: %s", server.risk)
    return server
