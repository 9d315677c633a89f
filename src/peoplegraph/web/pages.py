"""The pages for browsers, GraphiQL and the dashboard, and the headers that keep everything foreign out of them."""

import json
import secrets
from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from peoplegraph.web.assets import Assets, PageFiles

CDN = Path(__file__).with_name("cdn.json")
"""What GraphiQL's page loads where there are no assets: URLs and hashes, written by `frontend/cdn/hashes.mjs`."""

BUILD = "pip install --force-reinstall --no-deps ."


class Pages:
    """Makes the pages: on the gateway's own assets, or, where an install had no npm to build them, without."""

    def __init__(self, assets: Assets, *, has_graphiql: bool, has_dashboard: bool) -> None:
        self.assets = assets
        self._files = assets.manifest.pages if assets.manifest else {}
        self._icon = assets.manifest.icon if assets.manifest else None
        self._has_graphiql = has_graphiql
        self._has_dashboard = has_dashboard
        self._dashboard = _text(assets.folder / "dashboard.html")
        self._cdn = json.loads(CDN.read_bytes())

    def __repr__(self) -> str:
        return f"<Pages {'built' if self._files else 'not built'}>"

    def graphiql(self, request_id: str) -> HTMLResponse:
        """Return GraphiQL's page."""
        nonce = secrets.token_urlsafe(16)
        headers = {"X-Request-Id": request_id}
        files = self._files.get("graphiql")
        if files is None:
            return _response(self._from_cdn(nonce), _policy(nonce, "font-src data:"), headers)
        dashboard = ' data-dashboard="dashboard"' if self._has_dashboard else ""
        body = f'<div id="graphiql"{dashboard}><p class="pg-loading">GraphiQL is loading…</p></div>'
        # Monaco's style sheets have their icons in them, and so do those of the squiggles under mistakes.
        policy = _policy(nonce, "font-src data:", "img-src 'self' data:", "worker-src 'self'")
        return _response(self._built(files, "GraphiQL", body, nonce), policy, headers)

    async def dashboard(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the dashboard, if browsers get it."""
        nonce = secrets.token_urlsafe(16)
        files = self._files.get("dashboard")
        if not self._has_dashboard:
            page: Response = PlainTextResponse("There is no dashboard (PEOPLEGRAPH_DASHBOARD)\n", 404)
        elif files is None:
            page = _response(_NOT_BUILT, _policy(nonce), {})
        else:
            graphiql = ' data-graphiql="graphql"' if self._has_graphiql else ""
            body = f'<div id="dashboard"{graphiql}>{self._dashboard}</div>'
            page = _response(self._built(files, "Dashboard", body, nonce), _policy(nonce, "img-src 'self'"), {})
        await page(scope, receive, send)

    async def asset(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with what the pages load, if there are any."""
        if self._has_dashboard or self._has_graphiql:
            await self.assets(scope, receive, send)
        else:
            await PlainTextResponse("Not Found", 404)(scope, receive, send)

    def _built(self, files: PageFiles, title: str, body: str, nonce: str) -> str:
        """Return a page that loads its assets; its scripts pass the nonce on to what they import."""
        links = [f'<link rel="icon" href="assets/{self._icon}">']
        links += [f'<link rel="stylesheet" nonce="{nonce}" href="assets/{name}">' for name in files.styles]
        links += [f'<link rel="modulepreload" nonce="{nonce}" href="assets/{name}">' for name in files.preload]
        script = f'<script type="module" nonce="{nonce}" src="assets/{files.script}"></script>'
        return _page(title, "\n".join([f'<meta property="csp-nonce" nonce="{nonce}">', *links, script]), body)

    def _from_cdn(self, nonce: str) -> str:
        """Return GraphiQL's page for an install without assets: what it loads is checked by its hash."""
        tags = {
            "style": '<link rel="stylesheet" nonce="{nonce}" href="{url}" integrity="{integrity}" crossorigin>',
            "script": '<script defer nonce="{nonce}" src="{url}" integrity="{integrity}" crossorigin></script>',
        }
        head = [
            tags[file["kind"]].format(nonce=nonce, **{key: escape(value) for key, value in file.items()})
            for file in self._cdn
        ]
        return _page("GraphiQL", "\n".join(head), _CDN_BODY.replace("NONCE", nonce))


def _policy(nonce: str, *more: str) -> str:
    """Return a content security policy: what has the nonce runs, and it talks to the gateway alone."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'nonce-{nonce}'",
            "connect-src 'self'",
            *more,
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _response(html: str, policy: str, headers: dict[str, str]) -> HTMLResponse:
    return HTMLResponse(
        html,
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": policy,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            **headers,
        },
    )


def _page(title: str, head: str, body: str) -> str:
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · peoplegraph</title>
{head}
</head>
<body>
{body}
</body>
</html>
"""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


_CDN_BODY = f"""\
<style nonce="NONCE">
body {{ display: flex; flex-direction: column; height: 100vh; margin: 0 }}
p {{ background: #fff3d6; color: #4a3200; font: 14px system-ui, sans-serif; margin: 0; padding: 8px 16px }}
#graphiql {{ flex: 1; min-height: 0 }}
</style>
<p>This gateway was installed without its own assets, since there was no npm: GraphiQL comes from unpkg.com, and
needs the internet. For all of it install Node.js, and then again: <code>{BUILD}</code></p>
<div id="graphiql"></div>
<script type="module" nonce="NONCE">
const fetcher = GraphiQL.createFetcher({{ url: new URL("graphql", location.href).href }});
const root = ReactDOM.createRoot(document.getElementById("graphiql"));
root.render(React.createElement(GraphiQL, {{ fetcher, inputValueDeprecation: true }}));
</script>"""

_NOT_BUILT = _page(
    "Dashboard",
    "",
    f"""\
<h1>The dashboard is not built</h1>
<p>This gateway was installed from source without npm, which builds the assets of its pages.</p>
<p>Install Node.js with npm, then in the source folder: <code>{BUILD}</code>, and start the gateway anew.</p>""",
)
