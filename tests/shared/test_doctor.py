"""`peoplegraph doctor`: what it says of a store that gateways share, and of one that they cannot share."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme

from peoplegraph.commands.doctor import STORE, examine
from peoplegraph.commands.store import SOON_MS
from peoplegraph.sandbox import Blocks
from peoplegraph.shared.server import Server
from tests.gateway import settings_for
from tests.observe.processes import free_port
from tests.shared.conftest import Group
from tests.shared.store import KEY, Store, running_store

PASSWORD = "the-secret-word"

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def said(blocks: Blocks, url: str) -> str:
    """Return what is said of a store, which never is its password."""
    settings = settings_for(blocks, shared={"url": url, "key": KEY})
    *_, last = [finding async for finding in examine(settings)]
    assert last.about == STORE
    assert PASSWORD not in str(last)
    return str(last)


async def test_a_store_that_is_well(blocks: Blocks, store: Store, group: Group) -> None:
    """It says what it is and how many share it; what was tried there goes, and disturbs no gateway."""
    one = await group.join()
    await group.join()
    line = await said(blocks, store.url)
    assert line.startswith(f"{STORE}: ok: ")
    assert line.endswith("; processes that share it now: 2")
    await one.data('{ representative(reference: "REP-006") { name } }')
    assert (await one.fetch("/readyz")).json()["shared"] == "up"
    async with store.client() as client:
        left = [await client.pttl(key) async for key in client.scan_iter("*doctor*")]
    assert all(ms != -1 and ms <= 2 * SOON_MS for ms in left)  # -2: it is gone, -1: it stays


async def test_a_store_that_a_gateway_with_another_key_shares(
    blocks: Blocks, store: Store, group: Group, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told how many there are; and whoever joins beside one says so at once, and not at the first write."""
    async with store.client() as client:
        await client.zadd("peoplegraph:members", {"whoever-was-killed": 1})
    await group.join(shared={"key": b64encode(b"k" * 32).decode()})
    assert caplog.messages == []
    await group.join()
    assert caplog.messages == [
        "another gateway of the group has another PEOPLEGRAPH_SHARED_KEY, or another release"
    ]
    line = await said(blocks, store.url)
    assert line.startswith(f"{STORE}: ok: ")
    assert line.endswith(
        "; processes that share it now: 2, 1 of them with another PEOPLEGRAPH_SHARED_KEY or release"
    )


async def test_a_gateway_alone_has_no_store_to_be_told_of(blocks: Blocks) -> None:
    """Without the setting nothing is said of one."""
    assert STORE not in [finding.about async for finding in examine(settings_for(blocks))]


@pytest.mark.parametrize(
    ("options", "user", "words"),
    [
        (("--requirepass", "another"), "", "it wants a password, and there is none in PEOPLEGRAPH_SHARED_URL"),
        (("--requirepass", "another"), f":{PASSWORD}@", "it does not take the user and the password in PEOPLE"),
        (("--requirepass", "another"), f"app:{PASSWORD}@", "it does not take the user and the password in PEOPLE"),
        ((), f":{PASSWORD}@", "it does not take the user and the password in PEOPLEGRAPH_SHARED_URL"),
        (
            ("--databases", "1"),
            "",
            "it refuses the connection: is the number of the database in PEOPLEGRAPH_SHARED",
        ),
        (("--cluster-enabled", "yes"), "", "it is a cluster, and its shards know nothing of each other's writes"),
        (("--replicaof", "127.0.0.1", "9"), "", "it is a replica, and takes no writes: use its primary"),
        (
            ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"),
            "",
            "it may drop who is in the group: set its maxmemory-policy to volatile-lru",
        ),
        (("--rename-command", "EVALSHA", ""), "", "the store refuses: unknown command"),
        (("--maxmemory", "1"), "", "It takes no writes as it is: its memory, its disk"),
        (("--min-replicas-to-write", "1"), "", "It takes no writes as it is: its memory, its disk"),
        (
            ("--user", *"default on nopass ~* &* +@all -info".split()),
            "",
            "no permissions to run the 'info' command",
        ),
        (
            ("--user", *"default on nopass ~* resetchannels +@all".split()),
            "",
            "docs/security.md has the commands, keys and",
        ),
        (
            ("--user", *"default on nopass ~other:* &* +@all".split()),
            "",
            "docs/security.md has the commands, keys and",
        ),
    ],
)
async def test_what_is_wrong_is_said(
    blocks: Blocks, tmp_path: Path, options: tuple[str, ...], user: str, words: str
) -> None:
    """A store that refuses, or that gateways cannot share, is told with what to look at."""
    async with running_store(tmp_path, *options) as store:
        number = 1 if "--databases" in options else 0
        line = await said(blocks, f"redis://{user}127.0.0.1:{store.port}/{number}")
    assert line.startswith(f"{STORE}: FAILED: ")
    assert words in line


@asynccontextmanager
async def listening(peer: Peer) -> AsyncIterator[int]:
    """Have something else listen, until the block ends; return its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await peer(reader, writer)
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a web server does."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuse with what was sent, as Redis does for a command that it does not know."""
    sent = (await reader.read(1000)).replace(b"\r\n", b" ")
    writer.write(b"-ERR unknown command, with args beginning with: " + sent + b"\r\n")


async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a Redis that has not read its disk yet."""
    while await reader.read(1000):
        writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        (http, "what answers there is no Valkey or Redis: is PEOPLEGRAPH_SHARED_URL right, port and all?"),
        (echo, "it refuses the connection"),
        (loading, "it has just begun, and reads what it has on disk: try again"),
    ],
)
async def test_what_is_no_store(blocks: Blocks, peer: Peer, words: str) -> None:
    """Another server is told from a store, and what it says is not repeated: the password may be in it."""
    async with listening(peer) as port:
        assert words in await said(blocks, f"redis://:{PASSWORD}@127.0.0.1:{port}/0")


async def test_why_it_is_not_reached(blocks: Blocks, tmp_path: Path) -> None:
    """A port where nobody listens, a name that is none, and a file that is not there are told apart."""
    gone = free_port()
    assert "Nobody listens there: is PEOPLEGRAPH_SHARED_URL right" in await said(
        blocks, f"redis://127.0.0.1:{gone}/0"
    )
    assert "The name in PEOPLEGRAPH_SHARED_URL is not known here." in await said(blocks, "redis://nobody.invalid/0")
    assert "There is no such file as PEOPLEGRAPH_SHARED_URL names." in await said(blocks, f"unix://{tmp_path}/none")


async def test_tls_on_one_side_only(blocks: Blocks, tmp_path: Path) -> None:
    """Where one side speaks TLS, and the other does not, it is said which; and who is not trusted."""
    authority, port = trustme.CA(), free_port()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    files = ("--tls-cert-file", f"{tmp_path}/certificate.pem", "--tls-key-file", f"{tmp_path}/key.pem")
    async with running_store(tmp_path, "--tls-port", str(port), *files, "--tls-auth-clients", "no") as store:
        assert "should PEOPLEGRAPH_SHARED_URL begin with rediss://?" in await said(
            blocks, f"redis://127.0.0.1:{port}"
        )
        assert "does it speak TLS, as PEOPLE" in await said(blocks, f"rediss://127.0.0.1:{store.port}")
        url = f"rediss://127.0.0.1:{port}/0"
        assert "Its certificate is not trusted: " in await said(blocks, url)
        assert "no such file as PEOPLE" in await said(blocks, f"{url}?ssl_ca_certs={tmp_path}/none.pem")
        assert ": ok: " in await said(blocks, f"{url}?ssl_ca_certs={tmp_path}/authority.pem")


@pytest.mark.parametrize(
    ("info", "name", "unfit"),
    [
        (
            "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\nrole:master\r\n",
            "Valkey 8.1.1",
            None,
        ),
        ("redis_version:6.2.0\r\nredis_mode:standalone\r\n", "Redis 6.2.0", None),
        ("redis_version:6.0.16\r\n", "Redis 6.0.16", "it is Redis 6.0.16, and must be like Redis 6.2 or newer"),
        ("redis_version:255.255.255\r\n", "Redis 255.255.255", None),
        ("# Server\r\nwhatever\r\n", "Redis", None),
    ],
)
def test_what_a_server_says_of_itself(info: str, name: str, unfit: str | None) -> None:
    """Its version is that of the Redis that it is like, and what it does not say is no reason to refuse it."""
    server = Server.of(info)
    assert (server.name, server.unfit, server.risk) == (name, unfit, None)
