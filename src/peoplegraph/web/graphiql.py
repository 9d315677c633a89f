"""GraphiQL's page, and the headers that keep everything foreign out of it."""

import secrets
from functools import cache

from starlette.responses import HTMLResponse
from strawberry.http.ides import get_graphql_ide_html

CDN = "https://unpkg.com"


def page(request_id: str) -> HTMLResponse:
    """Return the page. Its scripts run because they have its nonce, and nobody can put it in a frame."""
    nonce = secrets.token_urlsafe(16)
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src 'nonce-{nonce}' 'strict-dynamic'",
            f"style-src 'nonce-{nonce}' {CDN}",
            f"font-src data: {CDN}",
            "img-src 'self' data:",
            "connect-src 'self'",
            "worker-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Request-Id": request_id,
    }
    html = _html()
    for tag in ("script", "style", "link"):
        html = html.replace(f"<{tag}", f'<{tag} nonce="{nonce}"')
    return HTMLResponse(html, headers=headers)


@cache
def _html() -> str:
    return get_graphql_ide_html("graphiql")
