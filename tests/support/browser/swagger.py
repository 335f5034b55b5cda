"""Swagger UI as its users work it."""

import re

from playwright.sync_api import Locator, Page, expect


def operation(page: Page, name: str) -> Locator:
    """An operation in Swagger UI, opened."""
    block = page.locator(f"[id$='-{name}'].opblock")
    expect(block).to_be_visible()
    if "is-open" not in str(block.get_attribute("class")):
        block.locator(".opblock-summary-control").click()
    return block


def execute(block: Locator) -> tuple[int, str]:
    """Press "Execute"; the status and the body that are shown."""
    with block.page.expect_response(re.compile("tracking-number")) as found:
        block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table tbody > tr.response").first
    expect(answer.locator(".response-col_status")).to_have_text(re.compile(f"^{found.value.status}"))
    return found.value.status, str(answer.text_content())
