"""The assets of the pages: how they are served, and what the pages are without them."""

import gzip
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from peoplegraph import create_app
from peoplegraph.sandbox import Blocks
from peoplegraph.web.assets import FOLDER, Assets
from peoplegraph.web.pages import CDN
from tests.gateway import client_of, settings_for

CDN_PACKAGES = Path(__file__).parents[2] / "frontend/cdn"
TEXT = b"export const x = 1;\n" * 100
HTML = {"accept": "text/html"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of assets, with things beside them that are none."""
    folder = tmp_path / "assets"
    folder.mkdir()
    files = {"graphiql-0A1B2C3D.js": TEXT, "graphiql-0A1B2C3D.js.gz": gzip.compress(TEXT), "x-0A1B2C3D.css": b"a{}"}
    for name, contents in {**files, "icon-0A1B2C3D.svg": b"<svg/>", "licences.txt": b"MIT"}.items():
        (folder / name).write_bytes(contents)
    page = {"script": "graphiql-0A1B2C3D.js", "preload": [], "styles": ["x-0A1B2C3D.css"]}
    manifest = {"icon": "icon-0A1B2C3D.svg", "pages": {"graphiql": page, "dashboard": page}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "secret-0A1B2C3D.js").write_text("secret")
    return folder


@pytest.fixture
async def client(folder: Path, blocks: Blocks) -> AsyncIterator[httpx.AsyncClient]:
    """Ask a gateway that has these assets."""
    async with client_of(create_app(settings_for(blocks), Assets(folder)), "127.0.0.1") as client:
        yield client


@pytest.fixture
async def bare(tmp_path: Path, blocks: Blocks) -> AsyncIterator[httpx.AsyncClient]:
    """Ask a gateway that has none."""
    async with client_of(create_app(settings_for(blocks), Assets(tmp_path / "none")), "127.0.0.1") as client:
        yield client


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("graphiql-0A1B2C3D.js", "text/javascript"),
        ("x-0A1B2C3D.css", "text/css"),
        ("icon-0A1B2C3D.svg", "image/svg"),
    ],
)
async def test_an_asset_is_kept_for_good(client: httpx.AsyncClient, name: str, kind: str) -> None:
    """Its name changes with its contents: a browser asks for it once, and does not guess what it is."""
    reply = await client.get(f"/assets/{name}")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith(kind)
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert (await client.head(f"/assets/{name}")).content == b""
    assert (await client.post(f"/assets/{name}")).status_code == 405


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, br", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("br", None),
        ("gzip;q=0", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_it_is_compressed_beforehand(client: httpx.AsyncClient, accepted: str, encoding: str | None) -> None:
    """Who takes a compression that there is gets it, and everybody the same contents."""
    reply = await client.get("/assets/graphiql-0A1B2C3D.js", headers={"accept-encoding": accepted})
    assert reply.headers.get("content-encoding") == encoding
    assert reply.headers["vary"] == "Accept-Encoding"
    assert reply.content == TEXT
    assert (int(reply.headers["content-length"]) < len(TEXT)) == (encoding is not None)


@pytest.mark.parametrize(
    "path",
    [
        "../secret-0A1B2C3D.js",
        "..%2fsecret-0A1B2C3D.js",
        "%2e%2e/secret-0A1B2C3D.js",
        "..%5csecret-0A1B2C3D.js",
        "/etc/passwd",
        "manifest.json",
        "licences.txt",
        "graphiql-0A1B2C3D.js.gz",
        "graphiql-00000000.js",
        "graphiql-0A1B2C3D.js%00",
        "",
    ],
)
async def test_no_other_file_is_served(client: httpx.AsyncClient, path: str) -> None:
    """What is no asset's name is a 404, wherever it leads."""
    reply = await client.get(httpx.URL("http://localhost", raw_path=f"/assets/{path}".encode()))
    assert reply.status_code == 404
    assert "secret" not in reply.text


async def test_the_pages_load_what_was_built() -> None:
    """Everything that the manifest names is there, beside what it is compressed."""
    if not (FOLDER / "manifest.json").exists():
        pytest.skip("the assets are not built: npm ci && npm run build in frontend")
    manifest = Assets().manifest
    assert manifest is not None
    assert manifest.pages.keys() == {"graphiql", "dashboard"}
    for page in manifest.pages.values():
        for name in (page.script, *page.preload, *page.styles):
            assert (FOLDER / name).is_file()
        assert (FOLDER / f"{page.script}.br").stat().st_size < (FOLDER / page.script).stat().st_size / 2
    for worker in ("editor", "graphql", "json"):
        assert list(FOLDER.glob(f"{worker}.worker-*.js"))
    assert not [path for path in FOLDER.glob("*.js") if b"unpkg.com" in path.read_bytes()]


async def test_without_assets_graphiql_comes_from_a_cdn(bare: httpx.AsyncClient) -> None:
    """The page says so, and takes no script and no style without its hash, nor without its nonce."""
    page = await bare.get("/graphql", headers=HTML)
    assert "installed without its own assets" in page.text
    loaded = re.findall(r"<(?:script|link)[^>]*https://unpkg\.com/[^>]*>", page.text)
    listed = json.loads(CDN.read_bytes())
    assert len(loaded) == len(listed) == 4
    for tag, file in zip(loaded, listed, strict=True):
        assert f'integrity="{file["integrity"]}"' in tag
        assert re.search(r"@\d+\.\d+\.\d+/", file["url"])
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "https:" not in policy


async def test_without_assets_the_dashboard_says_what_to_do(bare: httpx.AsyncClient) -> None:
    """There is no dashboard then, but a sentence that leads to one."""
    page = await bare.get("/dashboard")
    assert page.status_code == 200
    assert "Install Node.js with npm" in page.text
    assert "<script" not in page.text


def test_the_hashes_are_those_of_the_packages() -> None:
    """What npm has for the locked packages is what the page takes from the CDN."""
    node = shutil.which("node")
    if node is None or not (CDN_PACKAGES / "node_modules").exists():
        pytest.skip("the packages are not installed: npm ci in frontend/cdn")
    printed = subprocess.run(
        [node, "hashes.mjs", "--print"], cwd=CDN_PACKAGES, capture_output=True, check=True, timeout=60
    )
    assert json.loads(printed.stdout) == json.loads(CDN.read_bytes())
