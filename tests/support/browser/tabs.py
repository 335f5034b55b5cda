"""Pages of the service in a real browser, and what each of them does that no page of ours may."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

PATIENCE_MS: Final = 60_000
_WIDE: Final = {"width": 1440, "height": 900}
_PHONE: Final = {"width": 390, "height": 844}
_INLINE: Final = {"data", "blob", "about"}
_REPORT: Final = """document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`The policy forbids ${event.violatedDirective}: ${event.blockedURI} ${event.sample}`))"""


class Tabs:
    """Opens pages of one service, each in a browser session of its own, and keeps what it complains of."""

    def __init__(self, browser: Browser, base_url: str) -> None:
        self._browser = browser
        self._base_url = base_url
        self._hosts = {urlsplit(base_url).netloc}
        self._sessions: list[BrowserContext] = []
        self._complaints: list[str] = []
        self._expected = re.compile("(?!)")
        self._cookies: Mapping[str, str] = {}

    def sign_in(self, cookies: Mapping[str, str]) -> None:
        """Have the pages that are opened from now on be those of somebody who has logged in."""
        self._cookies = cookies

    def open(self, path: str = "", *, phone: bool = False, dark: bool = False) -> Page:
        """A new page, at a path of the service; without a path it is still empty."""
        session = self._browser.new_context(
            base_url=self._base_url,
            viewport=_PHONE if phone else _WIDE,  # type: ignore[arg-type]  # a TypedDict of just these
            has_touch=phone,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        self._sessions.append(session)
        session.add_cookies(
            [{"name": name, "value": value, "url": self._base_url} for name, value in self._cookies.items()]
        )
        session.set_default_timeout(PATIENCE_MS)
        session.add_init_script(_REPORT)
        session.on("request", self._asked)
        session.on("console", self._said)
        session.on("weberror", lambda error: self._complaints.append(f"uncaught: {error.error}"))
        page = session.new_page()
        if path:
            page.goto(path)
        return page

    def expect(self, complaint: str, *, host: str = "") -> None:
        """Let pass what a test brings about itself: complaints that a pattern finds, and requests to one more host."""
        self._expected = re.compile(complaint)
        self._hosts.add(host)

    def close(self) -> list[str]:
        """Close all pages; what they complained of, and what they asked of others."""
        for session in self._sessions:
            session.close()
        return self.complaints

    @property
    def complaints(self) -> list[str]:
        """Those so far."""
        return [each for each in self._complaints if not self._expected.search(each)]

    def _asked(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in _INLINE and url.netloc not in self._hosts:
            self._complaints.append(f"asked another host: {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complaints.append(f"{message.location.get('url', '')}: {message.text}")


def overflow(page: Page) -> int:
    """How many pixels a page is wider than its window: it scrolls sideways if there is one."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider


def violations(page: Page, node_modules: Path, *rules: str) -> list[str]:
    """What axe-core finds on a page that is serious or critical: rule, what it asks for, and where it is not met.

    Args:
        page: the page.
        node_modules: where axe-core is.
        rules: the only ones to try; else all.
    """
    page.evaluate((node_modules / "axe-core" / "axe.min.js").read_text())
    only = {"runOnly": list(rules)} if rules else {}
    found: list[dict[str, Any]] = page.evaluate("(only) => axe.run(only).then((all) => all.violations)", only)
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {place['html'][:200]} {place.get('failureSummary', '')}"
        for rule in found
        if rule["impact"] in {"serious", "critical"}
        for place in rule["nodes"]
    ]
