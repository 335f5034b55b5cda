"""The console as its users meet it: by keyboard, on a phone, in the dark, and after somebody changed the ledger."""

import json
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser.site import Site
from tests.support.browser.swagger import execute, operation
from tests.support.browser.tabs import Tabs, overflow, violations
from tests.support.clients.console import NAME, PASSWORD, one_time, staff
from tests.support.clients.orders import GOOD
from tests.support.database.report_counts import roll_up
from tests.support.log.tampering import edit
from tests.support.processes.sealers import Sealer, seal, until_published

pytestmark = pytest.mark.timeout(900)
ORDERS: Final = [
    *[{"weight": "1.5"}] * 3,
    *[{"origin_country_id": "SG", "weight": "0.1"}] * 2,
    {"destination_country_id": "DE", "weight": "80"},
]
ROUTES: Final = {"MY → ID": 3, "SG → ID": 2, "MY → DE": 1}
BANDS: Final = [2, 3, 1]
"""From the lightest to the heaviest, without those that have none."""


class Console(NamedTuple):
    """The console of a service with some numbers, half of them rolled up."""

    site: Site
    numbers: list[str]
    cookies: dict[str, str]
    """Of somebody who has logged in."""

    @property
    def paths(self) -> list[str]:
        """Every kind of page but the login's."""
        event, revoke = f"ledger/{self.numbers[0]}/", f"keys/{self.site.key.split('_')[1]}/revoke/"
        return [f"/console/{page}" for page in ("", "ledger/", event, "customer/", "keys/", revoke, "password/")]


@pytest.fixture(scope="module")
def console(site: Site) -> Console:
    numbers = [site.issue(**change) for change in ORDERS]
    seal(site.database, len(ORDERS) // 2)
    roll_up(site.database)
    seal(site.database, len(ORDERS))
    with staff(site.database, site.port) as somebody:
        return Console(site, numbers, dict(somebody.client.cookies))


def reach(page: Page, wanted: Locator) -> None:
    """Go to an element by the Tab key alone; it must then show that it has the focus."""
    expect(wanted).to_be_visible()
    for _ in range(60):
        if wanted.evaluate("(element) => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(wanted).to_be_focused()
    seen = "(element) => { const s = getComputedStyle(element); return [s.outlineStyle, s.boxShadow, s.borderColor]; }"
    focused = wanted.evaluate(seen)
    assert focused[0] != "none" or focused[1] != "none", f"the focus can't be seen: {focused}"


def type_into(page: Page, label: str, text: str) -> None:
    reach(page, page.get_by_label(label, exact=True))
    page.keyboard.type(text)


def proof(page: Page, state: str) -> None:
    expect(page.locator("[data-proof]")).to_have_attribute("data-proof-state", state)


def chart(page: Page, name: str) -> dict[str, int]:
    """What a chart shows: the page's data, which must be what is drawn, and something must be drawn."""
    canvas = page.locator(f"#{name} canvas")
    expect(canvas).to_have_attribute("data-drawn", "true")
    data: dict[str, Any] = json.loads(str(page.locator(f"#{name}-data").text_content()))
    drawn = canvas.evaluate(
        "(canvas) => { const { labels, datasets } = Chart.getChart(canvas).data; return [labels, datasets[0].data]; }"
    )
    assert drawn == [data["labels"], data["values"]]
    pixels = "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data"
    assert canvas.evaluate(f"(canvas) => ({pixels})(canvas).filter(Boolean).length") > 1000
    return dict(zip(data["labels"], data["values"], strict=True))


def test_a_one_time_password_is_changed_and_a_number_from_swagger_ui_is_found_by_keyboard_alone(
    tabs: Tabs, console: Console
) -> None:
    first = one_time(console.site.database, "grace")
    page = tabs.open("/console/")
    type_into(page, "Name", "grace")
    type_into(page, "Password", first)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Choose a password of your own")).to_be_visible()
    page.goto("/console/ledger/")
    expect(page.get_by_role("heading", name="Choose a password of your own")).to_be_visible()
    for label, text in (("Old password", first), ("New password", PASSWORD), ("New password confirmation", PASSWORD)):
        type_into(page, label, text)
    page.keyboard.press("Enter")
    expect(page.locator("#issued-month")).to_be_visible()

    swagger = tabs.open("/docs")
    status, body = execute(operation(swagger, "next_tracking_number"))
    found = re.search('"tracking_number": ?"([0-9A-Z]{16})"', body)
    assert status == 200
    assert found
    console.numbers.append(found[1])
    with Sealer(console.site.database):
        until_published(console.site.database, len(console.numbers))

    reach(page, page.get_by_role("link", name="Ledger").first)
    page.keyboard.press("Enter")
    typed = f"{found[1][:4]}-{found[1][4:8]} {found[1][8:]}".lower()
    type_into(page, "Number", typed)
    page.keyboard.press("Enter")
    expect(page.locator("#event-number")).to_have_text(found[1])
    proof(page, "verified")


def test_the_list_leads_to_a_number_whose_proof_turns_green(tabs: Tabs, console: Console) -> None:
    tabs.sign_in(console.cookies)
    page = tabs.open("/console/ledger/")
    page.locator("#events a").first.click()
    proof(page, "verified")
    expect(page.locator("[data-proof-steps] li")).to_have_count(4)
    expect(page.locator(".c-barcode img")).to_be_visible()
    page.wait_for_function("document.querySelector('.c-barcode img').naturalWidth > 100")


def test_charts_show_what_was_issued(tabs: Tabs, console: Console) -> None:
    tabs.sign_in(console.cookies)
    page = tabs.open("/console/")
    count = len(console.numbers)
    more = count - len(ORDERS)  # what other tests have issued, all to the good order
    expect(page.locator("#issued-month")).to_have_text(str(count))
    assert sum(chart(page, "by-day").values()) == count
    assert chart(page, "by-route") == ROUTES | {"MY → ID": ROUTES["MY → ID"] + more}
    bands = [value for value in chart(page, "by-weight").values() if value]
    assert bands == [BANDS[0], BANDS[1] + more, BANDS[2]]


def test_a_customers_charts_show_that_customers_numbers_and_can_be_taken_home(tabs: Tabs, console: Console) -> None:
    tabs.sign_in(console.cookies)
    page = tabs.open("/console/customer/")
    page.get_by_label("Customer").fill(GOOD["customer_id"])
    page.get_by_role("button", name="Show").click()
    count = len(console.numbers)
    expect(page.locator("#customer-total")).to_have_text(str(count))
    for name in ("by-day", "by-route", "by-weight"):
        assert sum(chart(page, name).values()) == count
    assert GOOD["customer_id"] not in page.url
    with page.expect_download() as download:
        page.locator("#customer-csv button").click()
    rows = download.value.path().read_text().splitlines()
    assert sum(int(row.rpartition(",")[2]) for row in rows[1:]) == count


def test_no_page_has_a_serious_barrier(tabs: Tabs, console: Console, node_modules: Path) -> None:
    page = tabs.open("/console/login/")
    found = {"login": violations(page, node_modules)}
    tabs.sign_in(console.cookies)
    page = tabs.open()
    for path in console.paths:
        page.goto(path)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        found[path] = violations(page, node_modules)
    page.goto("/console/customer/")
    page.get_by_label("Customer").fill(GOOD["customer_id"])
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#customer-total")).to_be_visible()
    found["a customer's"] = violations(page, node_modules)
    assert {path: each for path, each in found.items() if each} == {}


def test_every_page_fits_a_phone_and_can_be_read_in_the_dark(tabs: Tabs, console: Console, node_modules: Path) -> None:
    tabs.sign_in(console.cookies)
    page = tabs.open(phone=True, dark=True)
    found = {}
    for path in ["/console/login/", *console.paths]:
        page.goto(path)
        expect(page.locator("html.dark")).to_be_attached()
        found[path] = (overflow(page), violations(page, node_modules, "color-contrast"))
    assert {path: each for path, each in found.items() if each != (0, [])} == {}


def test_whoever_is_not_logged_in_sees_the_login_alone(tabs: Tabs, console: Console) -> None:
    page = tabs.open()
    for path in console.paths:
        page.goto(path)
        expect(page.locator("#login-form")).to_be_visible()
        expect(page.locator("nav")).to_have_count(0)
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill("a wrong one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Name or password is wrong")


def test_a_row_that_was_changed_turns_its_page_red(tabs: Tabs, console: Console) -> None:
    tabs.expect("/proof: Failed to load resource: .* 500")
    number = console.numbers[1]
    edit(console.site.database, number, "request_id = gen_random_uuid()")
    tabs.sign_in(console.cookies)
    page = tabs.open(f"/console/ledger/{number}/")
    proof(page, "failed")
    expect(page.locator("[data-proof-steps] li")).to_contain_text("contradicts what its log has signed")
    expect(page.get_by_role("alert")).to_contain_text("This is not what was signed")
    page.goto(f"/console/ledger/{console.numbers[0]}/")
    proof(page, "verified")
