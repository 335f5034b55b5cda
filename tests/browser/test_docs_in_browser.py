"""Swagger UI and Redoc in a real browser: a number is issued and looked up by hand, and nobody else is asked."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser.site import Site
from tests.support.browser.swagger import execute, operation
from tests.support.browser.tabs import Tabs, overflow, violations
from tests.support.clients.operations import OPERATIONS
from tests.support.processes.sealers import Sealer, until_published

pytestmark = pytest.mark.timeout(900)
THEIRS = {
    # Its colours, its lists of servers and media types without names, and its buttons within buttons.
    "/docs": {"color-contrast", "select-name", "nested-interactive"},
    # Its examples scroll sideways, and only a pointer can do that.
    "/redoc": {"scrollable-region-focusable"},
}
"""What axe-core holds against Swagger UI and Redoc themselves, which are served as their makers made them."""


def test_a_number_is_issued_and_looked_up_with_try_it_out(tabs: Tabs, site: Site) -> None:
    tabs.expect("/v1/tracking-numbers/.*: Failed to load resource: .* 401")
    page = tabs.open("/docs")
    status, body = execute(operation(page, "next_tracking_number"))
    assert status == 200
    found = re.search('"tracking_number": ?"([0-9A-Z]{16})"', body)
    assert found, body
    with Sealer(site.database):
        until_published(site.database, 1)

    look_up = operation(page, "look_up")
    look_up.get_by_placeholder("number").fill(found[1])
    assert execute(look_up)[0] == 401

    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".modal-ux")
    dialog.get_by_role("textbox").fill(site.key)
    dialog.get_by_role("button", name="Apply credentials").click()
    dialog.locator(".close-modal").click()
    status, body = execute(look_up)
    assert (status, found[1] in body) == (200, True)
    assert '"leaf_index": 0' in body

    proof = operation(page, "proof")
    proof.get_by_placeholder("number").fill(found[1])
    status, body = execute(proof)
    assert (status, "c2sp.org/tlog-proof@v1" in body) == (200, True)


def test_redoc_shows_every_operation(tabs: Tabs) -> None:
    page = tabs.open("/redoc")
    expect(page.get_by_role("heading", name="Tracking number authority")).to_be_visible()
    expect(page.locator("[data-section-id*='/operation/']")).to_have_count(len(OPERATIONS))


@pytest.mark.parametrize("path", THEIRS)
def test_a_page_fits_a_phone(tabs: Tabs, path: str) -> None:
    page = tabs.open(path, phone=True)
    expect(page.get_by_role("heading", name="Tracking number authority")).to_be_visible()
    assert overflow(page) == 0


@pytest.mark.parametrize("path", THEIRS)
def test_a_page_has_no_serious_barrier_but_those_of_its_makers(tabs: Tabs, node_modules: Path, path: str) -> None:
    page = tabs.open(path)
    expect(page.get_by_role("heading", name="Tracking number authority")).to_be_visible()
    assert [each for each in violations(page, node_modules) if each.split()[0] not in THEIRS[path]] == []
