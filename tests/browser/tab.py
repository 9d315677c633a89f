"""A browser's tab on a gateway: what is seen in it, and whatever should not have happened there."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Error, Locator, Page, Request, Route

CHROMIUM = "/usr/bin/chromium"

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

SCREENSHOTS = Path(os.environ.get("PEOPLEGRAPH_SCREENSHOTS") or Path(__file__).with_name("screenshots"))


@dataclass
class Tab:
    """A page under watch: every error in its console, and every request that leaves this machine, is kept."""

    page: Page
    url: str
    """The gateway's."""
    expected: str | None = None
    """What errors in the console may match, if there may be any."""
    allowed: str | None = None
    """Another host that may be asked."""
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    async def watch(self) -> None:
        """Begin: let nothing out, and take note."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_page_error)
        self.page.context.on("request", self._on_request)
        await self.page.context.route(is_foreign, _abort)

    async def open(self, path: str) -> None:
        """Go to a path of the gateway."""
        await self.page.goto(self.url + path)

    async def screenshot(self, name: str) -> None:
        """Keep what is seen, all of it."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def by(self, role: str, name: str | re.Pattern[str]) -> Locator:
        """Return what has a role and a name, as people with a screen reader find it."""
        return self.page.get_by_role(role, name=name)  # type: ignore[arg-type]  # a long list of literals

    def assert_clean(self) -> None:
        """Assert that there was no error, and that nothing was asked for elsewhere."""
        assert not self.foreign, self.foreign
        unexpected = [error for error in self.errors if not (self.expected and re.search(self.expected, error))]
        assert not unexpected, unexpected

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.text} ({message.location.get('url')})")

    def _on_page_error(self, error: Error) -> None:
        self.errors.append(str(error))

    def _on_request(self, request: Request) -> None:
        if is_foreign(request.url) and urlsplit(request.url).hostname != self.allowed:
            self.foreign.append(request.url)


def is_foreign(url: str) -> bool:
    """Whether a URL leads away from this machine."""
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1"


async def _abort(route: Route) -> None:
    await route.abort()
