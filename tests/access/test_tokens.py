"""Tokens: which ones let in, whatever their issuer does, and what is wrong with the others."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from peoplegraph.access.caller import KeysUnavailable, Unauthenticated
from peoplegraph.access.gate import fetched
from peoplegraph.access.tokens import (
    COOLDOWN_S,
    FRESH_S,
    OLDEST_S,
    REMEMBERED_S,
    KeyRing,
    KeysInFile,
    Tokens,
    read_jwks,
    read_jwks_file,
)
from peoplegraph.access.watch import Watched
from peoplegraph.sandbox.serving import serving
from peoplegraph.scopes import Scope
from peoplegraph.settings import JwtSettings
from tests.access.callers import (
    AUDIENCE,
    EC,
    ISSUER,
    OTHER,
    RSA,
    ask,
    by_token,
    claims,
    entry,
    is_refused,
    jwks,
    token,
)
from tests.conftest import MakeGateway


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


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Publisher:
    """What a key ring fetches from: counts, and fails on demand."""

    def __init__(self, *keys: Any) -> None:
        self.keys = keys
        self.asked = 0
        self.is_down = False

    async def __call__(self) -> bytes:
        """Return the keys."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise OSError("down")
        return json.dumps(jwks(*self.keys)).encode()


class Held:
    """Keys that a test holds in its hand."""

    def __init__(self, *held: Any) -> None:
        self.held = held

    async def keys(self) -> KeySet:
        """Return them."""
        return read_jwks(json.dumps(jwks(*self.held)).encode())

    async def look_for_more(self) -> KeySet | None:
        """Return None: there are no more."""
        return None


async def test_keys_rotate() -> None:
    """A new key is looked for at once, and then not for ten seconds; one that is gone is no good in a while."""
    clock, issuer = Clock(), Publisher(RSA)
    ring = KeyRing(issuer, clock)
    await asyncio.gather(*(ring.keys() for _ in range(5)))
    assert issuer.asked == 1
    issuer.keys = (EC,)
    assert await ring.look_for_more() is None
    clock.now += COOLDOWN_S
    found = await asyncio.gather(*(ring.look_for_more() for _ in range(5)))
    assert issuer.asked == 2
    assert all(keys is not None and [key.kid for key in keys] == ["ec"] for keys in found)
    issuer.keys = (RSA,)
    clock.now += FRESH_S + 1
    assert [key.kid for key in await ring.keys()] == ["ec"]  # nobody waits for the new ones
    await asyncio.sleep(0.01)
    assert [key.kid for key in await ring.keys()] == ["rsa"]
    assert issuer.asked == 3


async def test_known_keys_do_for_a_day() -> None:
    """While the issuer is down they are used, and it is asked now and then; after a day there are none."""
    clock, issuer = Clock(), Publisher(RSA)
    ring = KeyRing(issuer, clock)
    await ring.keys()
    issuer.is_down = True
    clock.now += FRESH_S + 1
    for _ in range(20):
        assert len((await ring.keys()).keys) == 1
    await asyncio.sleep(0.01)
    assert issuer.asked == 2
    clock.now += OLDEST_S
    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            await ring.keys()
    assert issuer.asked == 3
    issuer.is_down = False
    clock.now += COOLDOWN_S
    assert len((await ring.keys()).keys) == 1


@pytest.mark.parametrize(("lives_s", "remembered_s"), [(1000, REMEMBERED_S), (20, 20)])
async def test_a_token_is_remembered(lives_s: int, remembered_s: float) -> None:
    """For a minute, and not beyond its end, it is not checked again; then it is, by the keys of then."""
    clock, keys = Clock(), Held(RSA)
    settings = JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url="https://x.example", leeway_s=0)
    tokens = Tokens(settings, keys, clock)
    signed = token(iat=int(clock.now), exp=int(clock.now) + lives_s)
    await tokens.check(signed)
    keys.held = (EC,)
    clock.now += remembered_s - 1
    assert (await tokens.check(signed)).name == "ada"
    clock.now += 1
    with pytest.raises(Unauthenticated):
        await tokens.check(signed)


async def test_remembered_tokens_are_bounded(jwks_file: Path) -> None:
    """Whoever has many tokens fills no memory."""
    settings = JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks_file=jwks_file)
    tokens = Tokens(settings, KeysInFile(Watched([jwks_file], lambda: read_jwks_file(jwks_file))), most=3)
    for number in range(6):
        await tokens.check(token(EC, "ES256", sub=str(number)))
    assert repr(tokens).startswith("<Tokens 3 remembered")


async def test_an_enormous_set_of_keys_is_not_swallowed() -> None:
    """What an issuer sends is bounded in size, and redirects are not followed."""

    async def enormous(_: Request) -> Response:
        return Response(b"x" * 1_100_000)

    async def elsewhere(_: Request) -> Response:
        return Response(status_code=302, headers={"location": "/enormous"})

    app = Starlette(routes=[Route("/enormous", enormous), Route("/elsewhere", elsewhere)])
    async with serving((app,), "127.0.0.1", 0) as (server,):
        for path, complaint in (("enormous", "too large"), ("elsewhere", "status 302")):
            with pytest.raises(OSError, match=complaint):
                await fetched(f"{server.url}/{path}")
