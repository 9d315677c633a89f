"""What other people's pages can make a browser do to the gateway: nothing."""

import re

import pytest

from peoplegraph.web.hosts import Hosts
from tests.conftest import MakeGateway
from tests.gateway import Gateway

PAGE, EVIL = "https://app.example", "https://evil.example"
QUERY = {"query": '{ representative(reference: "REP-001") { reference } }'}
BODY = b'{"query": "{ representative(reference: \\"REP-001\\") { reference } }"}'
MUTATION = {"query": 'mutation { deleteAssignee(by: { assigneeId: "asg-0001" }) { deleted } }'}


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/plain;charset=utf-8",
        "TEXT/PLAIN",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ],
)
async def test_what_a_page_can_post_without_asking(gateway: Gateway, content_type: str | None) -> None:
    """A POST that a browser makes without a preflight is refused with 400, and nothing is called."""
    gateway.sandbox.ledger.calls.clear()
    headers = {} if content_type is None else {"content-type": content_type}
    reply = await gateway.post(content=BODY, headers=headers)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert gateway.calls == []


async def test_what_a_page_can_get_without_asking(gateway: Gateway) -> None:
    """A GET needs a header that a page of another origin cannot send without a preflight."""
    gateway.sandbox.ledger.calls.clear()
    reply = await gateway.get(params=QUERY, headers={"apollo-require-preflight": ""})
    assert reply.status_code == 400
    assert "apollo-require-preflight" in reply.json()["errors"][0]["message"]
    assert gateway.calls == []
    for header in ("x-apollo-operation-name", "graphql-require-preflight", "X-Requested-With"):
        reply = await gateway.get(params=QUERY, headers={"apollo-require-preflight": "", header: "x"})
        assert reply.status_code == 200
    assert (await gateway.get(params=MUTATION)).status_code == 405
    assert (await gateway.get(params=MUTATION, headers={"accept": "text/html"})).status_code == 406


async def test_no_other_origin_by_default(gateway: Gateway) -> None:
    """No answer lets a page of another origin read it, and no preflight is allowed."""
    reply = await gateway.post(json=QUERY, headers={"origin": EVIL})
    assert "access-control-allow-origin" not in reply.headers
    preflight = await gateway.request("OPTIONS", headers={"origin": EVIL, "access-control-request-method": "POST"})
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_the_origins_in_the_settings(gateway_with: MakeGateway) -> None:
    """Their pages may ask, with the headers that the gateway reads, and read what it says; others may not."""
    gateway = await gateway_with(cors_origins=[PAGE])

    async def preflight(origin: str, headers: str = "authorization, content-type") -> dict[str, str]:
        reply = await gateway.request(
            "OPTIONS",
            headers={
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": headers,
            },
        )
        return {"status": str(reply.status_code), **reply.headers}

    allowed = await preflight(PAGE)
    assert (allowed["status"], allowed["access-control-allow-origin"]) == ("200", PAGE)
    assert "access-control-allow-credentials" not in allowed
    assert (await preflight(PAGE, "cookie"))["status"] == "400"
    for origin in (EVIL, "null", PAGE + ".evil.example", "http://app.example", PAGE.upper()):
        refused = await preflight(origin)
        assert refused["status"] == "400"
        assert "access-control-allow-origin" not in refused
        reply = await gateway.post(json=QUERY, headers={"origin": origin})
        assert "access-control-allow-origin" not in reply.headers
    reply = await gateway.post(json=QUERY, headers={"origin": PAGE})
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert "Origin" in reply.headers["vary"]
    assert "X-Request-Id" in reply.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/graphql", "/dashboard"])
async def test_the_pages_keep_everything_foreign_out(gateway: Gateway, path: str) -> None:
    """What a page runs has a nonce, new each time; nobody can frame it, and it may talk to its own origin."""
    nonces = set()
    for _ in range(2):
        page = await gateway.page(path)
        policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
        nonce = re.fullmatch(r"'nonce-([\w-]{20,})'", policy["script-src"])
        assert nonce is not None
        nonces.add(nonce[1])
        assert policy["style-src"] == policy["script-src"]
        assert not re.search("unsafe|http|\\*", page.headers["content-security-policy"])
        loaded = re.findall(r"<(?:script|style)[\s>][^>]*|<link rel=.(?:stylesheet|modulepreload)[^>]*", page.text)
        assert len(loaded) > 1 or "not built" in page.text
        assert all(f'nonce="{nonce[1]}"' in tag for tag in loaded)
        assert not re.search(r"\son\w+=|\sstyle=", page.text)
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["connect-src"] == "'self'"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cross-origin-opener-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"
    assert len(nonces) == 2


async def test_no_query_in_a_url_gets_into_the_page(gateway: Gateway) -> None:
    """What is in the URL is not in the page: nobody can write into it by a link."""
    strip = re.compile(r'nonce="[^"]+"')
    for path in ("/graphql", "/dashboard"):
        plain = await gateway.page(path)
        evil = await gateway.page(path, params={"q": "</script><script>alert(1)"})
        assert strip.sub("", plain.text) == strip.sub("", evil.text)


async def test_answers_are_not_for_guessing_or_keeping(gateway: Gateway) -> None:
    """No browser guesses what an answer is, and nobody on the way keeps it."""
    reply = await gateway.post(json=QUERY)
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert "server" not in reply.headers


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "x@localhost",
        "",
        "[::2]",
    ],
)
async def test_a_name_that_leads_here_is_not_enough(gateway: Gateway, host: str) -> None:
    """DNS rebinding: a page whose own name was made to mean this machine is refused, GraphiQL as well."""
    gateway.sandbox.ledger.calls.clear()
    assert (await gateway.post(json=QUERY, headers={"host": host})).status_code == 400
    assert (await gateway.get(headers={"host": host, "accept": "text/html"})).status_code == 400
    assert gateway.calls == []


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "[::1]", "LOCALHOST."]
)
async def test_the_names_of_loopback(gateway: Gateway, host: str) -> None:
    """By default the gateway is known by the names of loopback, with any port."""
    assert (await gateway.post(json=QUERY, headers={"host": host})).status_code == 200


def test_hosts() -> None:
    """Exact names, all below a name, or everything; never two headers, nor none, unless everything goes."""
    hosts = Hosts(["api.example", "*.internal.example"])

    def allow(*values: str) -> bool:
        return hosts.allow([(b"accept", b"*/*"), *((b"host", value.encode()) for value in values)])

    for good in (
        "api.example",
        "API.example:443",
        "a.internal.example",
        "a.b.internal.example:8000",
        "api.example.",
    ):
        assert allow(good)
        assert allow(good)  # known by now
    for bad in (
        "example",
        "xapi.example",
        "internal.example",
        "ainternal.example",
        "api.example:x",
        "api.example:443:1",
    ):
        assert not allow(bad)
    assert not allow()
    assert not allow("api.example", "api.example")
    assert not allow("api.example", "evil.example")
    assert Hosts(["*"]).allow([(b"host", b"anything")])
