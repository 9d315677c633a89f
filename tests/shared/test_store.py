"""Who controls the store: what it may do, and what a gateway needs to be allowed there."""

import re
from base64 import b64encode
from pathlib import Path
from time import time
from typing import Any

import msgspec

from peoplegraph.commands.doctor import examine
from peoplegraph.sandbox import Blocks
from peoplegraph.settings.shared import SharedSettings
from peoplegraph.shared.records import CLOCKS_S
from peoplegraph.shared.seal import Seal
from tests.conftest import MakeGateway
from tests.gateway import Gateway, settings_for
from tests.shared.conftest import Group
from tests.shared.store import KEY, Store, running_store
from tests.test_docs import SECURITY

READ = '{ representative(reference: "%s") { name } }'
WRITE = 'mutation { updateRepresentative(reference: "REP-006", input: {}) { errors { message } } }'
CALL = "COLLECTIONS GET /representatives/%s"


async def test_an_answer_that_is_over_is_not_given_out_again(group: Group, store: Store) -> None:
    """How long it may do is sealed with it, give or take a minute: a store cannot keep it for longer."""
    one, other = await group.join(), await group.join()
    seal = Seal(SharedSettings.model_validate({"key": KEY}).key_bytes)
    for reference, over_s in (("REP-006", 0.0), ("REP-007", CLOCKS_S - 30), ("REP-008", CLOCKS_S + 1)):
        async with store.client() as client:
            await client.delete(*[key async for key in client.scan_iter("peoplegraph:answer:*")] or ["none"])
            await one.data(READ % reference)
            (name,) = [key async for key in client.scan_iter("peoplegraph:answer:*")]
            versions, sealed = (await client.get(name)).split(b"\n", 1)
            headers, body, until = msgspec.msgpack.decode(seal.open(sealed, (name + versions).decode()))
            assert time() < until < time() + 61
            again = msgspec.msgpack.encode([headers, body, time() - over_s])
            await client.set(name, versions + b"\n" + seal.close(again, (name + versions).decode()), ex=50)
        await other.data(READ % reference)
        assert other.calls == ([CALL % reference] if over_s > CLOCKS_S else [])


async def test_no_answer_opens_under_anothers_name(group: Group, store: Store) -> None:
    """A store that gives out one answer for another, or one that it changed, gives out nothing."""
    one, other = await group.join(), await group.join()
    async with store.client() as client:
        for change in ("swapped", "changed"):
            await client.delete(*[key async for key in client.scan_iter("peoplegraph:answer:*")] or ["none"])
            await one.data(READ % "REP-006")
            (name,) = [key async for key in client.scan_iter("peoplegraph:answer:*")]
            versions, sealed = (await client.get(name)).split(b"\n", 1)
            seal = Seal(SharedSettings.model_validate({"key": KEY}).key_bytes)
            wrong = seal.close(seal.open(sealed, (name + versions).decode()), "peoplegraph:answer:" + "0" * 32)
            if change == "changed":
                wrong = sealed[:-1] + bytes([sealed[-1] ^ 1])
            await client.set(name, versions + b"\n" + wrong, ex=3600)
            await other.data(READ % "REP-006")
            assert other.calls == [CALL % "REP-006"], change
            await one.data(WRITE)


async def test_the_rights_that_gateways_need(gateway_with: MakeGateway, blocks: Blocks, tmp_path: Path) -> None:
    """With the line of docs/security.md all of it works and nothing is refused; no command in it is needless."""
    (line,) = re.findall(r"^user peoplegraph .*$", SECURITY, re.MULTILINE)
    words = line.replace("PASSWORD", "word").split()[1:]
    async with running_store(tmp_path, "--user", *words) as store:
        url = store.url.replace("//", "//peoplegraph:word@")
        kept = {name: {"cache_ttl_s": 60} for name in blocks}
        limits = {"caller_requests_per_second": 100, "caller_calls_per_minute": 1000, "persisted_queries": 10}

        async def join(key: str = KEY) -> Gateway:
            return await gateway_with(shared={"url": url, "key": key}, **kept, **limits)

        one, other = await join(), await join()
        stranger = await join(b64encode(b"k" * 32).decode())
        digest = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"
        named: dict[str, Any] = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}
        await one.post(json={"query": "{__typename}", **named})
        assert (await other.post(json=named)).json() == {"data": {"__typename": "Query"}}
        for writer in (one, stranger):
            await one.data(READ % "REP-006")
            await other.data(READ % "REP-006")
            assert other.calls == []
            await writer.data(WRITE)
        settings = settings_for(blocks, shared={"url": url, "key": KEY})
        assert [finding.healthy async for finding in examine(settings)] == [True] * 4
        async with store.client() as client:
            refused = {entry["object"] for entry in await client.acl_log()}
            assert refused <= {"client|setinfo"}  # of 7.2 and newer; the client goes on without
            used = {name.removeprefix("cmdstat_") for name in await client.info("commandstats")}
    commands = {word[1:] for word in words if word.startswith("+")}
    assert commands <= used
