"""Nothing that a page may not do gets past the tests in a browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser.site import Site
from tests.support.browser.tabs import Tabs, overflow, violations
from tests.support.processes.proc import eventually

STRICT = "default-src 'none'; script-src 'self'"
OPEN = "default-src * 'unsafe-inline'"


def complains(tabs: Tabs, page: Page, complaint: str) -> bool:
    """Whether it was heard by now; Playwright listens while it waits for something."""
    page.wait_for_timeout(20)
    return any(complaint in each for each in tabs.complaints)


@pytest.mark.parametrize(
    ("policy", "body", "complaint"),
    [
        (OPEN, "<script>console.error('oh')</script>", "oh"),
        (OPEN, "<script>throw new Error('uncaught')</script>", "uncaught"),
        (OPEN, "<script>Promise.reject(new Error('uncaught'))</script>", "uncaught"),
        (OPEN, "<img src='/nothing-here.png' alt=''>", "404"),
        (
            OPEN,
            "<img src='http://elsewhere.example/x.png' alt=''>",
            "asked another host: http://elsewhere.example/x.png",
        ),
        (STRICT, "<script>let harmless</script>", "The policy forbids script-src-elem: inline"),
        (STRICT, "<p style='color: red'>red</p>", "The policy forbids style-src-attr: inline"),
        (STRICT, "<p onclick='harmless()'>click</p>", "The policy forbids script-src-attr: inline"),
    ],
    ids=["error", "exception", "promise", "missing", "elsewhere", "script", "style", "handler"],
)
def test_a_page_that_does_what_no_page_may_fails_its_test(
    browser: Browser, site: Site, policy: str, body: str, complaint: str
) -> None:
    tabs = Tabs(browser, site.base_url)
    page = tabs.open()
    headers = {"Content-Security-Policy": policy}
    page.route("**/page", lambda route: route.fulfill(body=body, content_type="text/html", headers=headers))
    page.goto("/page")
    assert eventually(lambda: complains(tabs, page, complaint))
    tabs.close()


def test_a_page_with_barriers_or_too_wide_for_a_phone_is_found_out(
    browser: Browser, site: Site, node_modules: Path
) -> None:
    tabs = Tabs(browser, site.base_url)
    page = tabs.open(phone=True)
    page.set_content(
        "<html><body><img src='data:,'><p style='width: 500px; color: #bbb'>pale and wide</p></body></html>"
    )
    assert overflow(page) > 100
    rules = {each.split()[0] for each in violations(page, node_modules)}
    assert {"html-has-lang", "document-title", "image-alt", "color-contrast"} <= rules
    tabs.close()
