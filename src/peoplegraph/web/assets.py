"""The assets of the pages: what `frontend/` is built into, each file under a name with a hash of its contents."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from starlette.datastructures import Headers
from starlette.responses import FileResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).with_name("assets")

_HASHED = re.compile(r"-[0-9A-Z]{8}\.(?P<kind>js|css|svg)")
_KINDS = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
_ENCODINGS = {"br": ".br", "gzip": ".gz"}
"""How a file may be compressed beforehand, the smallest first."""

_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


class PageFiles(msgspec.Struct, frozen=True):
    """What a page loads, by names of assets."""

    script: str
    preload: tuple[str, ...]
    styles: tuple[str, ...]


class Manifest(msgspec.Struct, frozen=True):
    """What the build says of its output."""

    icon: str
    pages: Mapping[str, PageFiles]


class Assets:
    """Serves the files that were there at the start: a name is looked up among theirs, and leads nowhere else."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        self._kinds = {name: _KINDS[match["kind"]] for name in names if (match := _HASHED.search(name))}
        self.manifest = None
        if "manifest.json" in names:
            self.manifest = msgspec.convert(json.loads((folder / "manifest.json").read_bytes()), Manifest)

    def __repr__(self) -> str:
        return f"<Assets {len(self._kinds)} files>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file, compressed if the browser takes that."""
        name = scope["path_params"]["name"]
        kind = self._kinds.get(name)
        if kind is None or name.endswith(tuple(_ENCODINGS.values())):
            missing = PlainTextResponse("There is no such file\n", 404, {"X-Content-Type-Options": "nosniff"})
            await missing(scope, receive, send)
            return
        headers = dict(_HEADERS)
        taken = _taken(Headers(scope=scope).get("accept-encoding", ""))
        for encoding, suffix in _ENCODINGS.items():
            if encoding in taken and name + suffix in self._kinds:
                headers["Content-Encoding"] = encoding
                name += suffix
                break
        await FileResponse(self.folder / name, headers=headers, media_type=kind)(scope, receive, send)


def _taken(accept_encoding: str) -> set[str]:
    """Return the encodings that a browser takes: those that it names, but for `q=0`."""
    named = (part.strip().lower().partition(";") for part in accept_encoding.split(","))
    return {name.strip() for name, _, weight in named if not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight)}
