"""A proof is checked in the browser: green if all of it holds, else red, with the step that does not."""

import base64
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, Route, expect

from ledger.domain.note import SignerKey
from tests.plugin import LEDGER_KEY
from tests.support.browser.javascript import STATIC
from tests.support.browser.site import Site
from tests.support.browser.tabs import Tabs
from tests.support.log.tampering import edit
from tests.support.processes.sealers import Sealer, seal, until_published

pytestmark = pytest.mark.timeout(900)
NAME: Final = "log.test/tracking"
VERIFIER: Final = str(SignerKey.parse(LEDGER_KEY).verifier)
POLICY: Final = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'"
COUNT: Final = 5
STEPS: Final = ["entry", "proof", "inclusion", "signature"]

type Altered = Callable[[str], str]


@pytest.fixture(scope="module")
def numbers(site: Site) -> list[str]:
    """Some numbers, which are in the log."""
    issued = [site.issue() for _ in range(COUNT)]
    seal(site.database, COUNT)
    return issued


def page_of(number: str, entry: str, leaf_hash: str, *, key: str = VERIFIER) -> str:
    """What the console has on the page of a number."""
    given = {
        "proof-url": f"/v1/tracking-numbers/{number}/proof",
        "number": number,
        "entry": entry,
        "leaf-hash": leaf_hash,
        "verifier-key": key,
    }
    attributes = " ".join(f'data-{name}="{escape(value)}"' for name, value in given.items())
    return f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A number</title>
        <script type="module" src="/static/console/proof.js"></script></head><body><main><h1>A number</h1>
        <section data-proof {attributes}><p role="status" aria-live="polite" data-proof-status></p>
        <ol data-proof-steps></ol></section></main></body></html>"""


def show(page: Page, html: str, *, where: str = "/a-number") -> None:
    """Have the browser take a text for a page of the service."""
    page.route(
        f"**{where}",
        lambda route: route.fulfill(body=html, content_type="text/html", headers={"Content-Security-Policy": POLICY}),
    )
    page.goto(where)


def state(page: Page, expected: str) -> None:
    expect(page.locator("[data-proof]")).to_have_attribute("data-proof-state", expected)


def failed(page: Page) -> list[str]:
    """The steps that the page says do not hold."""
    lines = page.locator("[data-proof-steps] li[data-holds=false]").all()
    assert all(str(line.text_content()).startswith("\N{BALLOT X} ") for line in lines)
    return [str(line.get_attribute("data-step")) for line in lines]


def alter(page: Page, change: Altered) -> None:
    """Have somebody between service and browser change the proof."""

    def changed(route: Route) -> None:
        answer = route.fetch()
        altered = change(answer.text())
        assert altered != answer.text()
        route.fulfill(response=answer, body=altered)

    page.route("**/proof", changed)


def other_hash(text: str, *, line: int) -> str:
    lines = text.split("\n")
    assert len(base64.b64decode(lines[line])) == 32
    lines[line] = base64.b64encode(bytes(32)).decode()
    return "\n".join(lines)


def other_signature(text: str) -> str:
    head, _, signature = text.rstrip("\n").rpartition(" ")
    data = bytearray(base64.b64decode(signature))
    data[-1] ^= 1
    return f"{head} {base64.b64encode(data).decode()}\n"


def test_a_proof_turns_green_and_says_what_was_checked(tabs: Tabs, site: Site, numbers: list[str]) -> None:
    page = tabs.open()
    for place, number in enumerate(numbers):
        page.unroute_all()
        show(page, page_of(number, *site.entry(number)))
        state(page, "verified")
        lines = page.locator("[data-proof-steps] li")
        assert [line.get_attribute("data-step") for line in lines.all()] == STEPS
        assert [line.get_attribute("data-holds") for line in lines.all()] == ["true"] * len(STEPS)
        expect(lines.nth(2)).to_have_text(
            re.compile(f"^\N{CHECK MARK} The leaf is number {place} of a tree of {COUNT} ")
        )
        expect(lines.nth(3)).to_have_text(re.compile(f"is signed by {NAME}, key [0-9a-f]{{8}}"))
        expect(page.get_by_role("status")).to_have_text(re.compile("^Proven: this browser has checked"))


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        (lambda text: text.replace("index 1", "index 2"), ["inclusion"]),
        (lambda text: other_hash(text, line=2), ["inclusion"]),
        (lambda text: text.replace(f"\n{COUNT}\n", f"\n{COUNT + 1}\n"), ["signature"]),
        (lambda text: other_hash(text, line=-4), ["inclusion", "signature"]),
        (other_signature, ["signature"]),
        (lambda text: text.replace(NAME, "log.test/another"), ["signature"]),
        (lambda text: text.replace("@v1", "@v2"), ["proof"]),
        (lambda text: text + "\N{EM DASH}", ["proof"]),
    ],
    ids=["index", "hash", "size", "root", "signature", "name", "version", "form"],
)
def test_a_proof_that_was_altered_turns_red(
    tabs: Tabs, site: Site, numbers: list[str], change: Altered, steps: list[str]
) -> None:
    page = tabs.open()
    alter(page, change)
    show(page, page_of(numbers[1], *site.entry(numbers[1])))
    state(page, "failed")
    assert failed(page) == steps
    expect(page.get_by_role("status")).to_have_text(re.compile("^NOT proven"))


def test_an_entry_that_was_altered_turns_red(tabs: Tabs, site: Site, numbers: list[str]) -> None:
    entry, leaf_hash = site.entry(numbers[1])
    other_entry, other_hash = site.entry(numbers[2])
    altered = entry.replace('"weight_band":', '"weight_band":1')
    other_key = str(SignerKey(NAME, bytes(32)).verifier)
    page = tabs.open()
    for html, steps in (
        (page_of(numbers[1], altered, leaf_hash), ["entry", "inclusion"]),
        (page_of(numbers[1], entry, other_hash), ["entry"]),
        (page_of(numbers[1], other_entry, other_hash), ["entry", "inclusion"]),
        (page_of(numbers[1], entry, leaf_hash, key=other_key), ["signature"]),
    ):
        page.unroute_all()
        show(page, html)
        state(page, "failed")
        assert failed(page) == steps


def test_a_number_that_is_not_in_the_log_yet_turns_green_when_it_is(tabs: Tabs, site: Site, numbers: list[str]) -> None:
    tabs.expect("/proof: Failed to load resource: .* 404")
    number = site.issue()
    page = tabs.open()
    show(page, page_of(number, *site.entry(number)))
    state(page, "not-sealed")
    assert failed(page) == []
    with Sealer(site.database):
        until_published(site.database, len(numbers) + 1)
        state(page, "verified")


def test_a_row_that_was_changed_by_someone_with_all_power_turns_red(tabs: Tabs, site: Site, numbers: list[str]) -> None:
    tabs.expect("/proof: Failed to load resource: .* 500")
    entry, leaf_hash = site.entry(numbers[3])
    edit(site.database, numbers[3], "weight_band = (weight_band + 1) % 11")
    page = tabs.open()
    show(page, page_of(numbers[3], entry, leaf_hash))
    state(page, "failed")
    assert failed(page) == ["proof"]
    expect(page.locator("[data-step=proof]")).to_contain_text("contradicts what its log has signed")


def test_what_could_not_be_checked_is_neither_green_nor_red(tabs: Tabs, site: Site, numbers: list[str]) -> None:
    tabs.expect("Failed to load resource")
    entry, leaf_hash = site.entry(numbers[1])
    unknown = page_of(numbers[1], entry, leaf_hash).replace(f"/{numbers[1]}/proof", "/5GPZWDRK4CKMYIDH/proof")
    page = tabs.open()
    show(page, unknown)
    state(page, "unavailable")
    expect(page.get_by_role("status")).to_have_text(
        "Nothing was checked: the service answered 404 where a proof should be."
    )

    page.unroute_all()
    page.route("**/proof", lambda route: route.abort())
    show(page, page_of(numbers[1], entry, leaf_hash))
    state(page, "unavailable")
    expect(page.get_by_role("status")).to_contain_text("could not be fetched. Reload the page")
    assert page.locator("[data-proof-steps] li").count() == 0


def test_a_page_that_came_over_plain_http_says_that_nothing_was_checked(
    tabs: Tabs, site: Site, numbers: list[str]
) -> None:
    host = "tracking.example"
    tabs.expect("(?!)", host=host)
    page = tabs.open()
    page.route(
        f"http://{host}/static/console/*", lambda route: route.fulfill(path=STATIC / Path(route.request.url).name)
    )
    html = page_of(numbers[1], *site.entry(numbers[1]))
    page.route(f"http://{host}/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"http://{host}/")
    state(page, "unavailable")
    expect(page.get_by_role("status")).to_contain_text("WebCrypto only to pages from https")
