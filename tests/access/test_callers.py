"""Callers: who is let in, by which credential, and what those hear who are not."""

import asyncio
import base64
import hmac
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from peoplegraph.access.api_keys import ApiKeys, new_key
from peoplegraph.access.watch import Watched
from peoplegraph.sandbox.serving import serving
from peoplegraph.scopes import Scope
from peoplegraph.settings import ApiKey, SettingsError
from tests.conftest import MakeGateway
from tests.gateway import Gateway, Reply

ISSUER, AUDIENCE = "https://login.example/", "peoplegraph"
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
OTHER = RSAKey.generate_key(2048, {"kid": "rsa"})
QUERY = '{ representative(reference: "REP-001") { reference } }'


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token, with changes; None leaves one out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "iat": now,
        "exp": now + 300,
        "scope": "openid representatives:read",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(key: Any = RSA, algorithm: str = "RS256", header: Any = None, **changes: Any) -> str:
    """Sign a token."""
    registry = JWSRegistry({"x": HeaderParameter("x", "int")}, [algorithm], strict_check_header=False)
    all_headers = {"alg": algorithm, "kid": key.kid, **(header or {})}
    return jwt.encode(all_headers, claims(**changes), key, [algorithm], registry)


def jwks(*keys: Any) -> dict[str, Any]:
    """Return a JWK set of public keys."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


@pytest.fixture
def jwks_file(tmp_path: Path) -> Path:
    """Return a file with the issuer's keys."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(jwks(RSA, EC)))
    return path


def by_token(jwks_file: Path, **more: Any) -> dict[str, Any]:
    """Return the settings that take tokens."""
    return {"jwt": {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": jwks_file, **more}}


def entry(name: str, *scopes: Scope) -> tuple[str, dict[str, Any]]:
    """Make a key, and the settings' entry of it."""
    key, sha256 = new_key()
    return key, {"name": name, "sha256": sha256, "scopes": list(scopes)}


async def ask(gateway: Gateway, credential: str | None, scheme: str = "Bearer") -> Reply:
    """Ask with a credential."""
    return await gateway.ask(QUERY, {"authorization": f"{scheme} {credential}"} if credential is not None else None)


def is_refused(gateway: Gateway, reply: Reply, *, given: bool = True) -> bool:
    """Whether an answer is a 401 as it should be, and nobody was called."""
    challenge = reply.response.headers.get("www-authenticate", "")
    (error,) = reply.response.json()["errors"]
    assert reply.response.headers["content-type"].startswith("application/json")
    assert error["extensions"]["requestId"] == reply.response.headers["x-request-id"]
    assert gateway.calls == []
    return (
        reply.response.status_code == 401
        and challenge.startswith('Bearer realm="peoplegraph"')
        and ('error="invalid_token"' in challenge) is given
        and error["extensions"]["code"] == "UNAUTHENTICATED"
        and "data" not in reply.response.json()
    )


# API keys


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
    reply = await ask(gateway, "wrong")
    assert f"{reply.response.headers['x-request-id']} from 127.0.0.1 is refused: 401 UNAUTHENTICATED" in caplog.text
    await gateway.post(content=b"{}", headers={"host": "evil.example"})
    assert "its Host is no name of this gateway" in caplog.text


async def test_several_keys(gateway_with: MakeGateway) -> None:
    """Each key has its own scopes; two may have one name, so that one can take the other's place."""
    old, new = entry("app", Scope.REPRESENTATIVES_READ), entry("app", Scope.REPS_READ)
    gateway = await gateway_with(api_keys=[old[1], new[1]])
    assert (await ask(gateway, old[0])).errors == []
    assert (await ask(gateway, new[0])).codes == {"representative": "FORBIDDEN"}


def test_every_key_is_compared() -> None:
    """The time that a look-up takes says nothing of which key it was: it goes through all of them."""
    pairs = [entry(str(number)) for number in range(5)]
    keys = ApiKeys([ApiKey(**known) for _, known in pairs])
    for number, (key, _) in enumerate(pairs):
        found = keys.find(key)
        assert found is not None
        assert found.name == str(number)
    assert keys.find("") is None
    assert keys.find("\ud800") is None
    assert pairs[0][0] not in repr(keys) + repr(ApiKey(**pairs[0][1]))


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


# tokens


async def test_a_token_lets_in(gateway_with: MakeGateway, jwks_file: Path) -> None:
    """A token of the issuer's, for us, lets in with the scopes in it: `scope`, or `scp` as text or list."""
    gateway = await gateway_with(**by_token(jwks_file))
    for good in (
        token(),
        token(EC, "ES256"),
        token(aud=["somebody", AUDIENCE]),
        token(scope=None, scp="representatives:read"),
        token(scope=None, scp=["x", "representatives:read"]),
        token(header={"x5t": "anything", "nonce": "azure's"}),
    ):
        assert (await ask(gateway, good)).errors == []
        assert (await ask(gateway, good)).errors == []  # remembered
    assert (await ask(gateway, token(scope="reps:read"))).codes == {"representative": "FORBIDDEN"}
    assert is_refused(gateway, await ask(gateway, None), given=False)


NOW = int(time.time())


def part(value: bytes) -> str:
    """Encode a part of a token."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def by_hand(header: dict[str, Any], secret: bytes | None) -> str:
    """Make a token as no library would: signed with a shared secret, or not at all."""
    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims()).encode())}"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), 'sha256')) if secret else ''}"


def unsigned(**changes: Any) -> str:
    """Make a token that claims to need no signature."""
    return by_hand({"alg": "none", "kid": "rsa"} | changes, None)


BAD_TOKENS: dict[str, Callable[[], str]] = {
    "none": unsigned,
    "None": lambda: unsigned(alg="None"),
    "no algorithm": lambda: unsigned(alg=None),
    "signed with the public key": lambda: by_hand({"alg": "HS256", "kid": "rsa"}, RSA.as_pem(private=False)),
    "an algorithm that is not allowed": lambda: token(algorithm="RS512"),
    "another key of that name": lambda: token(OTHER),
    "a key that is not known": lambda: token(RSAKey.generate_key(2048, {"kid": "who"})),
    "no key's name": lambda: jwt.encode({"alg": "RS256"}, claims(), RSA, ["RS256"]),
    "over": lambda: token(exp=NOW - 60),
    "no end": lambda: token(exp=None),
    "an end that is no time": lambda: token(exp="tomorrow"),
    "not yet": lambda: token(nbf=NOW + 3600),
    "issued in the future": lambda: token(iat=NOW + 3600),
    "another issuer": lambda: token(iss="https://evil.example/"),
    "no issuer": lambda: token(iss=None),
    "another audience": lambda: token(aud="another"),
    "no audience": lambda: token(aud=None),
    "no subject": lambda: token(sub=None),
    "an endless subject": lambda: token(sub="x" * 300),
    "a subject that forges a line of a log": lambda: token(sub="ada\nmutation by admin"),
    "a critical header that nobody knows": lambda: token(header={"crit": ["x"], "x": 1}),
    "a shared secret": lambda: by_hand({"alg": "HS256", "kid": "rsa"}, b"secret"),
    "cut": lambda: token()[:-5],
    "changed": lambda: token().replace(".", ".e30", 1),
    "nothing between the dots": lambda: "..",
    "no base64": lambda: "a.b.c",
    "very long": lambda: f"{'a' * 9000}.b.c",
    "a claim set that is no object": lambda: ".".join([*token().split(".")[:1], "W10", token().split(".")[2]]),
}


@pytest.mark.parametrize("bad", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_a_bad_token_lets_nobody_in(
    gateway_with: MakeGateway, jwks_file: Path, bad: Callable[[], str]
) -> None:
    """Whatever is wrong with it, it is a 401, and no call is made."""
    gateway = await gateway_with(**by_token(jwks_file))
    assert is_refused(gateway, await ask(gateway, bad()))


async def test_the_clocks_may_differ_a_little(gateway_with: MakeGateway, jwks_file: Path) -> None:
    """By the seconds that the settings say, and no more."""
    gateway = await gateway_with(**by_token(jwks_file, leeway_s=30))
    assert (await ask(gateway, token(exp=int(time.time()) - 20))).errors == []
    assert (await ask(gateway, token(nbf=int(time.time()) + 20))).errors == []
    strict = await gateway_with(**by_token(jwks_file, leeway_s=0))
    assert is_refused(strict, await ask(strict, token(exp=int(time.time()) - 20)))


class Issuer:
    """Publishes keys over HTTP, as an issuer does."""

    def __init__(self) -> None:
        self.keys: Any = jwks(RSA)
        self.asked = 0
        self.status = 200

    async def answer(self, _: Request) -> Response:
        """Answer with the keys."""
        self.asked += 1
        return JSONResponse(self.keys, self.status)


async def test_keys_are_fetched_kept_and_rotated(
    gateway_with: MakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """They are had once; a token with a new key has them fetched anew, but not again and again."""
    issuer = Issuer()
    app = Starlette(routes=[Route("/jwks", issuer.answer)])
    async with serving((app,), "127.0.0.1", 0) as (server,):
        gateway = await gateway_with(
            jwt={"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": f"{server.url}/jwks"}, caller_operations=100
        )
        assert issuer.asked == 0  # it starts without the issuer
        for _ in range(3):
            assert (await ask(gateway, token(sub=str(time.monotonic())))).errors == []
        assert issuer.asked == 1
        issuer.keys = jwks(EC)
        assert is_refused(gateway, await ask(gateway, token(EC, "ES256")))  # just fetched: not again so soon
        assert issuer.asked == 1
    assert "cannot be had" not in caplog.text


async def test_an_issuer_that_is_down(gateway_with: MakeGateway, caplog: pytest.LogCaptureFixture) -> None:
    """Where the keys cannot be had, that is a 503 to come again, and never a way in; API keys go on working."""
    key, known = entry("x", Scope.REPRESENTATIVES_READ)
    issuer = Issuer()
    issuer.status = 500
    app = Starlette(routes=[Route("/jwks", issuer.answer)])
    async with serving((app,), "127.0.0.1", 0) as (server,):
        gateway = await gateway_with(
            jwt={"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": f"{server.url}/jwks"}, api_keys=[known]
        )
        for _ in range(3):
            reply = await ask(gateway, token())
            assert reply.response.status_code == 503
            assert reply.response.headers["retry-after"] == "10"
            assert reply.errors[0]["extensions"]["code"] == "AUTHENTICATION_UNAVAILABLE"
            assert gateway.calls == []
        assert issuer.asked == 1  # and it is not flooded
        assert (await ask(gateway, key)).errors == []
    assert "the keys of the tokens' issuer cannot be had: status 500" in caplog.text


@pytest.mark.parametrize(
    "keys",
    [
        [],
        {},
        {"keys": 5},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa"}]},
        {"keys": [{"kty": "RSA", "kid": "rsa"}]},
    ],
)
async def test_what_is_no_set_of_public_keys(gateway_with: MakeGateway, keys: Any) -> None:
    """Garbage, shared secrets and broken keys let nobody in."""
    issuer = Issuer()
    issuer.keys = keys
    app = Starlette(routes=[Route("/jwks", issuer.answer)])
    async with serving((app,), "127.0.0.1", 0) as (server,):
        gateway = await gateway_with(jwt={"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": f"{server.url}/jwks"})
        for bad in (token(), by_hand({"alg": "HS256", "kid": "rsa"}, b"secret")):
            reply = await ask(gateway, bad)
            assert reply.response.status_code in (401, 503)
            assert gateway.calls == []


# open, and combinations


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
