"""The http1 engine against servers that are not ours, and over TLS."""

import asyncio
import json
import shutil
import ssl
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from peoplegraph.errors import Unavailable
from peoplegraph.sandbox.serving import serving
from peoplegraph.systems import System
from peoplegraph.upstream import httpx_engine
from peoplegraph.upstream.call import Call, Credential
from peoplegraph.upstream.http1 import Http1Engine
from peoplegraph.upstream.limit import Limits
from peoplegraph.upstream.tls import TlsContext
from tests.scripted import http

BIG = "x" * 300_000

NODE = """
const http = require("http");
http.createServer((request, response) => {
  const pieces = [];
  request.on("data", piece => pieces.push(piece));
  request.on("end", () => {
    if (request.url === "/204") { response.writeHead(204); return response.end(); }
    if (request.url === "/stream") {
      response.writeHead(200);
      for (let i = 0; i < 100; i++) response.write("x".repeat(3000));
      return response.end();
    }
    const body = JSON.stringify([request.method, request.url, Buffer.concat(pieces).toString()]);
    response.writeHead(200, {"Content-Length": Buffer.byteLength(body)});
    response.end(body);
  });
}).listen(0, "127.0.0.1", function () { console.log(this.address().port); });
"""

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{
    listen 127.0.0.1:{port}{tls};
    location /204 {{ return 204; }}
    location /stream {{ alias {folder}/big; }}
    location / {{
      default_type application/json;
      return 200 '["$request_method", "$request_uri", "", "$server_protocol"]';
    }}
  }}
}}
"""


def call(target: str, body: bytes | None = None, *, system: System = System.RPM) -> Call:
    """Return a call with a body, or without one."""
    return Call(
        system=system,
        method="GET" if body is None else "PUT",
        target=target,
        credential=Credential("RpmApiKey", "secret"),
        deadline=asyncio.get_running_loop().time() + 5,
        reads=True,
        safe_to_retry=True,
        body=body,
    )


async def echo(request: Request) -> Response:
    """Answer with what was asked."""
    path = request.scope["raw_path"].decode()
    return JSONResponse([request.method, path, (await request.body()).decode()])


async def no_body(_: Request) -> Response:
    """Answer without a body."""
    return Response(status_code=204)


async def stream(_: Request) -> Response:
    """Answer in chunks."""

    async def pieces() -> AsyncIterator[str]:
        for start in range(0, len(BIG), 3000):
            yield BIG[start : start + 3000]

    return StreamingResponse(pieces())


@asynccontextmanager
async def uvicorn_server(_: Path) -> AsyncIterator[str]:
    """Run uvicorn, compressing what it can."""
    app = Starlette(
        routes=[
            Route("/204", no_body),
            Route("/stream", stream),
            Route("/{path:path}", echo, methods=["GET", "PUT"]),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1)],
    )
    async with serving((app,), "127.0.0.1", 0) as (server,):
        yield server.url


@asynccontextmanager
async def node_server(_: Path) -> AsyncIterator[str]:
    """Run a server of Node's."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here")
    process = await asyncio.create_subprocess_exec(node, "-e", NODE, stdout=PIPE)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(await asyncio.wait_for(process.stdout.readline(), 20))}"
    finally:
        process.kill()
        await process.communicate()


def write_nginx_files(folder: Path, port: int, tls: str) -> None:
    """Write the configuration, and a file that nginx, as another user, may read."""
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, tls=tls))
    (folder / "big").write_text(BIG)
    for path in (folder, *list(folder.parents)[:3]):
        path.chmod(path.stat().st_mode | 0o055)


@asynccontextmanager
async def nginx_server(folder: Path, tls: str = "") -> AsyncIterator[str]:
    """Run nginx, compressing what it can; `tls` is what comes behind the port that it listens on."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("there is no nginx here")
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    write_nginx_files(folder, port, tls)
    process = await asyncio.create_subprocess_exec(nginx, "-c", str(folder / "nginx.conf"), stderr=PIPE)
    try:
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
        yield f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.parametrize("server", [uvicorn_server, node_server, nginx_server])
async def test_servers_that_are_not_ours(server: Any, tmp_path: Path) -> None:
    """Plain, empty, streamed and compressed answers of uvicorn, Node and nginx arrive, many at once as well."""
    async with server(tmp_path) as url, Http1Engine({System.RPM: url}, {System.RPM: Limits(8)}) as engine:
        asked = await engine.send(call("/a%2Fb?c=d"))
        assert json.loads(asked.body)[0] == "GET"
        assert json.loads(asked.body)[1].startswith("/a%2Fb")
        if server is not nginx_server:
            sent = await engine.send(call("/put", "h\u00e9llo".encode()))
            assert json.loads(sent.body) == ["PUT", "/put", "h\u00e9llo"]
        assert ((await engine.send(call("/204"))).status, (await engine.send(call("/204"))).body) == (204, b"")
        answers = await asyncio.gather(*(engine.send(call("/stream")) for _ in range(30)))
        assert {answer.body for answer in answers} == {BIG.encode()}
        assert "0 of 8 busy" in repr(engine)


@asynccontextmanager
async def tls_server(context: ssl.SSLContext) -> AsyncIterator[tuple[str, list[bool]]]:
    """Run a TLS server that closes after each answer; note whether each connection resumed a session."""
    resumed: list[bool] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        resumed.append(writer.get_extra_info("ssl_object").session_reused)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(200, "ok"))
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}", resumed
    finally:
        server.close()


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    """Make a certificate authority, and the file to trust it by."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return made, tmp_path / "authority.pem"


def serving_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return a server's context with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_tls_is_verified_and_resumed(authority: tuple[trustme.CA, Path]) -> None:
    """Over TLS calls are answered, and a later connection resumes the session of an earlier one."""
    made, file = authority
    async with AsyncExitStack() as stack:
        url, resumed = await stack.enter_async_context(tls_server(serving_context(made, "localhost")))
        engine = Http1Engine({System.RPM: url}, {System.RPM: Limits(2)}, TlsContext.trusting(str(file)))
        await stack.enter_async_context(engine)
        for _ in range(3):
            assert (await engine.send(call("/"))).body == b"ok"
            await asyncio.sleep(0.05)
    assert resumed == [False, True, True]


async def test_certificates_that_are_not_trusted(authority: tuple[trustme.CA, Path]) -> None:
    """An unknown authority, or a certificate of another name, is no connection."""
    made, file = authority
    cases = [
        (serving_context(made, "localhost"), TlsContext.trusting()),
        (serving_context(made, "other.example"), TlsContext.trusting(str(file))),
    ]
    for server_context, client_context in cases:
        async with (
            tls_server(server_context) as (url, resumed),
            Http1Engine({System.RPM: url}, {System.RPM: Limits(2)}, client_context) as engine,
        ):
            with pytest.raises(Unavailable):
                await engine.send(call("/"))
            assert resumed == []
            assert "0 of 2 busy, 0 idle" in repr(engine)


async def test_http2_over_the_httpx_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that speaks HTTP/2 is spoken to in it, many calls over one connection."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    authority.cert_pem.write_to_path(tmp_path / "ca")
    monkeypatch.setattr(httpx_engine, "_tls", lambda: TlsContext.trusting(str(tmp_path / "ca")))
    tls = f" ssl http2; ssl_certificate {tmp_path}/pem; ssl_certificate_key {tmp_path}/pem"
    async with (
        nginx_server(tmp_path, tls) as url,
        httpx_engine.HttpxEngine({System.RPM: url}, {System.RPM: Limits(30)}) as engine,
    ):
        answers = await asyncio.gather(*(engine.send(call(f"/{n}")) for n in range(30)))
        assert [json.loads(answer.body) for answer in answers] == [
            ["GET", f"/{n}", "", "HTTP/2.0"] for n in range(30)
        ]
        answers = await asyncio.gather(*(engine.send(call("/stream")) for _ in range(10)))
        assert {answer.body for answer in answers} == {BIG.encode()}
        assert "0 in flight" in repr(engine)
