"""Debian's Chromium, driven by Playwright, and the running service; whatever a page complains of fails its test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.plugin import Database
from tests.support.browser.chromium import OPTIONS
from tests.support.browser.site import Site
from tests.support.browser.tabs import PATIENCE_MS, Tabs
from tests.support.clients.api_keys import make_key
from tests.support.processes.service import ServiceFactory


@pytest.fixture(scope="module")
def site(database: Database, service: ServiceFactory) -> Site:
    """The service of this module."""
    running = service(database, WEB_CONCURRENCY="1")
    return Site(running.base_url, database, make_key(database, "issue", "audit", "reports", "operate"))


@pytest.fixture(scope="module")
def browser(chromium: Path, site: Site) -> Iterator[Browser]:
    """The browser of this module.

    Not of the whole run: as long as Playwright is there, its event loop is this thread's, and no other test could run
    one. It comes after ``site`` for the same reason.
    """
    assert site
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(OPTIONS), timeout=2 * PATIENCE_MS)
        yield launched
        launched.close()


@pytest.fixture
def tabs(browser: Browser, site: Site) -> Iterator[Tabs]:
    """Opens pages; the test fails if one writes an error, breaks its policy, or asks anything of another host."""
    opened = Tabs(browser, site.base_url)
    yield opened
    assert opened.close() == []
