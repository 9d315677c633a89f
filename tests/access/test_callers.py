"""Callers: who is let in, by which credential, and what those hear who are not."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from peoplegraph.access.api_keys import ApiKeys
from peoplegraph.access.watch import Watched
from peoplegraph.scopes import Scope
from peoplegraph.settings import ApiKey, SettingsError
from tests.access.callers import (
    OTHER,
    ask,
    by_token,
    entry,
    is_refused,
    token,
)
from tests.conftest import MakeGateway
from tests.gateway import Gateway


async def test_a_key_lets_in(gateway_with: MakeGateway) -> None:
    """Who brings a key that the settings know may do what it says; who brings none, or another, is refused."""
    key, known = entry("dashboard", Scope.REPRESENTATIVES_READ)
    gateway = await gateway_with(api_keys=[known])
    reply = await ask(gateway, key)
    assert reply.data == {"representative": {"reference": "REP-001"}}
    assert (await ask(gateway, key, "bearer")).errors == []
    assert is_refused(gateway, await ask(gateway, None), given=False)
    for wrong in ("", key[:-1], key + "x", known["sha256"], key.upper(), f"{key}, Bearer {key}", "a.b.c"):
        assert is_refused(gateway, await ask(gateway, wrong)), wrong
    assert is_refused(gateway, await ask(gateway, key, "Basic"))


async def test_who_is_refused_is_refused_before_the_document_is_parsed(gateway_with: MakeGateway) -> None:
    """Whatever the body is, the answer is 401: it is not even read."""
    gateway = await gateway_with(api_keys=[entry("x")[1]])
    for body in (b"{", b"x" * 2_000_000, b'{"query": "{"}', b""):
        reply = await gateway.post(content=body, headers={"content-type": "application/json"})
        assert reply.status_code == 401
    assert (await gateway.post(content=b"x", headers={"content-type": "text/plain"})).status_code == 401
    assert (await gateway.get(params={"query": "{"})).status_code == 401


async def test_refusals_are_logged(gateway_with: MakeGateway, caplog: pytest.LogCaptureFixture) -> None:
    """The log tells who was refused, where from and why, so that an attack can be seen."""
    caplog.set_level(logging.INFO, "peoplegraph")
    gateway = await gateway_with(api_keys=[entry("x")[1]])
    with capture_logs() as events:
        reply = await ask(gateway, "wrong")
    (event,) = events
    assert event["request"] == reply.response.headers["x-request-id"]
    assert (event["status"], event["address"], event["codes"]) == (401, "127.0.0.1", {"UNAUTHENTICATED": 1})
    await gateway.post(content=b"{}", headers={"host": "evil.example"})
    assert "its Host is no name of this gateway" in caplog.text


async def test_several_keys(gateway_with: MakeGateway) -> None:
    """Each key has its own scopes; two may have one name, so that one can take the other's place."""
    old, new = entry("app", Scope.REPRESENTATIVES_READ), entry("app", Scope.REPS_READ)
    gateway = await gateway_with(api_keys=[old[1], new[1]])
    assert (await ask(gateway, old[0])).errors == []
    assert (await ask(gateway, new[0])).codes == {"representative": "FORBIDDEN"}


def test_keys_are_told_apart() -> None:
    """Each key is its own caller's, what is none is nobody's, and neither keys nor hashes show in a repr."""
    pairs = [entry(str(number)) for number in range(5)]
    keys = ApiKeys([ApiKey(**known) for _, known in pairs])
    for number, (key, _) in enumerate(pairs):
        found = keys.find(key)
        assert found is not None
        assert found.name == str(number)
    assert keys.find("") is None
    assert keys.find("\ud800") is None
    assert pairs[0][0] not in repr(keys) + repr(ApiKey(**pairs[0][1]))


def test_every_key_is_compared() -> None:
    """The time of a look-up does not depend on which key it was: of two entries by one hash the last one counts."""
    key, known = entry("first")
    others = [entry(str(number))[1] for number in range(5)]
    keys = ApiKeys([ApiKey(**each) for each in (known, *others, known | {"name": "last"})])
    found = keys.find(key)
    assert found is not None
    assert found.name == "last"


async def test_a_file_with_keys_is_read_anew(gateway_with: MakeGateway, tmp_path: Path) -> None:
    """A key that is put in the file lets in without a restart; one that is taken out does so no more."""
    path = tmp_path / "keys.toml"

    def write(*entries: dict[str, Any]) -> None:
        path.write_text("\n".join(f"[[api_keys]]\n{_toml(each)}" for each in entries))

    first, second = entry("first", Scope.REPRESENTATIVES_READ), entry("second", Scope.REPRESENTATIVES_READ)
    write(first[1])
    gateway = await gateway_with(keys_file=path)
    assert (await ask(gateway, first[0])).errors == []
    assert is_refused(gateway, await ask(gateway, second[0]))
    write(second[1])
    await _until(lambda: ask(gateway, second[0]), lambda reply: reply.response.status_code == 200)
    assert is_refused(gateway, await ask(gateway, first[0]))


def _toml(known: dict[str, Any]) -> str:
    scopes = ", ".join(f'"{scope}"' for scope in known["scopes"])
    return f'name = "{known["name"]}"\nsha256 = "{known["sha256"]}"\nscopes = [{scopes}]\n'


async def _until(look: Any, is_so: Callable[[Any], bool]) -> None:
    """Wait for up to five seconds for something to be so."""
    async with asyncio.timeout(5):
        while not is_so(await look()):  # noqa: ASYNC110  # a file has no event
            await asyncio.sleep(0.05)


def test_a_file_that_goes_bad_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was read before stays in force, and the log says what is wrong; mended, it is read."""
    path = tmp_path / "x"
    path.write_text("1")

    def read() -> int:
        try:
            return int(path.read_text())
        except (OSError, ValueError):
            raise SettingsError("it is no number") from None

    watched = Watched([path], read)
    path.write_text("two")
    watched.look()
    assert watched.value == 1
    assert "it is no number" in caplog.text
    path.unlink()
    watched.look()
    assert watched.value == 1
    path.write_text("333")
    watched.look()
    assert watched.value == 333


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[[api_keys]]\nname = 'x'", "is not TOML|Field required"),
        ("x = = 1", "is not TOML"),
        ("port = 1", r"may have \[\[api_keys\]\], and nothing else"),
        ('[[api_keys]]\nname = "x"\nsha256 = "secret"\nscopes = []', "must be the 64 hexadecimal digits"),
        (f'[[api_keys]]\nname = "x"\nsha256 = "{"0" * 64}"\nscopes = ["all"]', "Input should be"),
        (f'[[api_keys]]\nname = ""\nsha256 = "{"0" * 64}"\nscopes = []', "must be 1 to 100 printable characters"),
    ],
)
async def test_a_file_with_keys_that_is_wrong(
    gateway_with: MakeGateway, tmp_path: Path, content: str, complaint: str
) -> None:
    """The start says what is wrong, by the variable and the file, and shows nothing of a key."""
    path = tmp_path / "keys.toml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=complaint) as error:
        await gateway_with(keys_file=path)
    assert str(error.value).startswith(f"PEOPLEGRAPH_KEYS_FILE: {path}")
    assert "secret" not in str(error.value)


async def test_keys_and_tokens_together(gateway_with: MakeGateway, jwks_file: Path) -> None:
    """Both ways lead in, side by side; with `open` so does neither, with the scopes of everybody."""
    key, known = entry("x", Scope.REPRESENTATIVES_READ)
    gateway = await gateway_with(**by_token(jwks_file), api_keys=[known])
    assert (await ask(gateway, key)).errors == []
    assert (await ask(gateway, token())).errors == []
    assert is_refused(gateway, await ask(gateway, None), given=False)
    gateway = await gateway_with(**by_token(jwks_file), api_keys=[known], open=True, open_scopes=[Scope.REPS_READ])
    assert (await ask(gateway, key)).errors == []
    assert (await ask(gateway, None)).codes == {"representative": "FORBIDDEN"}
    assert is_refused(gateway, await ask(gateway, "wrong"))  # a wrong credential is not as good as none


async def test_an_open_gateway_does_not_mind_a_credential(gateway: Gateway) -> None:
    """Where nothing could check it, a header that a proxy put there does no harm."""
    assert (await ask(gateway, "whatever")).errors == []


async def test_an_open_gateway_is_open_to_its_own_machine(gateway_with: MakeGateway) -> None:
    """Also where a server other than `peoplegraph serve` has it listen on every address, unless told so."""
    for to_network, elsewhere in ((False, 401), (True, 200)):
        gateway = await gateway_with(open=True, open_to_network=to_network)
        for address, status in (
            ("127.0.0.1", 200),
            ("::1", 200),
            ("192.0.2.7", elsewhere),
            ("::ffff:192.0.2.7", elsewhere),
        ):
            async with gateway.from_address(address) as client:
                reply = await client.post("/graphql", json={"query": "{ __typename }"})
                assert reply.status_code == status, address


async def test_a_closed_gateway(gateway_with: MakeGateway) -> None:
    """With `open` off and no way to authenticate nobody is let in."""
    gateway = await gateway_with(open=False)
    assert is_refused(gateway, await ask(gateway, None), given=False)
    assert is_refused(gateway, await ask(gateway, "x"))


async def test_equal_queries_of_callers_who_may_differ_are_not_shared(gateway_with: MakeGateway) -> None:
    """What one caller may see is not what another one is answered with, also at the same moment."""
    may, may_not = entry("a", Scope.REPRESENTATIVES_READ), entry("b", Scope.REPS_READ)
    gateway = await gateway_with(api_keys=[may[1], may_not[1]])
    for pair in ((may, may_not), (may_not, may)):
        replies = await asyncio.gather(*(ask(gateway, key) for key, _ in pair))
        assert [reply.data["representative"] is None for reply in replies] == [each is may_not for each in pair]


async def test_no_credential_is_logged(
    gateway_with: MakeGateway, jwks_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a key nor a token, right or wrong, is in a log line or in an answer."""
    caplog.set_level(logging.DEBUG, "peoplegraph")
    key, known = entry("x", Scope.REPRESENTATIVES_READ)
    gateway = await gateway_with(**by_token(jwks_file), api_keys=[known])
    for credential in (key, token(), token(exp=1), token(OTHER), "pgk_wrong", "a.b.c"):
        reply = await ask(gateway, credential)
        assert credential not in reply.response.text + str(reply.response.headers)
        assert credential not in caplog.text
        assert credential.rsplit(".", 1)[-1] not in caplog.text or credential == "a.b.c"
