"""Swagger UI and Redoc: they ask nobody but this service, and what they send first is answered."""

import re

import httpx
import pytest

from tests.api.conftest import Shared
from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, problem
from tests.support.clients.operations import OPERATIONS, WITNESSED, first_examples

SHARES = True

PAGES = ["/docs", "/redoc"]


@pytest.fixture(scope="module")
def port(shared: Shared) -> int:
    """A service that has a log."""
    return shared.lane_port


@pytest.fixture(scope="module")
def key(database: Database, port: int) -> str:
    """A key like that of `make run`, good for everything."""
    assert port
    return make_key(database, "issue", "audit", "reports", "operate")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_own_paths_only_and_all_are_there(port: int, page: str) -> None:
    html = ask(port, page).text
    named = re.findall("""(?:src|href|spec-url)="([^"]*)\"""", html)
    assert any(name.endswith(".js") or "script" in name for name in named)
    for name in named:
        assert re.match("/[^/]", name), name
        assert ask(port, name).status_code == 200
    assert "//" not in re.sub("<!--.*?-->", "", html.replace("<!DOCTYPE html>", ""))


def test_swagger_ui_reads_our_schema_and_has_nobody_validate_it(port: int) -> None:
    script = ask(port, "/docs?script=").text
    assert 'url: "/openapi.yaml"' in script
    assert '"validatorUrl": null' in script
    assert '"persistAuthorization": true' in script
    assert "//" not in re.sub("^ *//.*$", "", script, flags=re.MULTILINE)


def test_redoc_asks_no_one_for_its_makers_logo(port: int) -> None:
    (script,) = re.findall('<script src="([^"]*)"', ask(port, "/redoc").text)
    served = ask(port, script)
    assert served.headers["content-type"].startswith("text/javascript")
    assert len(served.text) > 500_000
    assert "cdn." not in served.text


@pytest.mark.parametrize("page", PAGES)
def test_a_page_may_load_nothing_from_elsewhere_whatever_it_says(port: int, page: str) -> None:
    policy = dict(
        each.strip().partition(" ")[::2] for each in ask(port, page).headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert "blob:" in policy["img-src"], "a barcode that was tried out is shown"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert not re.search(r"https?:|\*|[a-z]\.[a-z]", " ".join(policy.values()))


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_try_it_out_sends_first_is_answered(port: int, key: str, label: str) -> None:
    sent = first_examples(label)
    url = f"http://127.0.0.1:{port}{sent.target}"
    answer = httpx.request(sent.method, url, headers=sent.headers | bearer(key), json=sent.body, timeout=90)
    if "/tracking-numbers/{number}" in label:
        # No number is the same in two services, so this one was never issued.
        assert problem(answer) == (404, "unknown-number")
    elif label == WITNESSED:
        assert problem(answer) == (404, "beyond-the-tree")
    else:
        assert answer.is_success, answer.text
