"""The console as somebody with a browser uses it, but for the browser: cookies, forms, and what a page is made of."""

import html
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, Final, Self

import httpx

from tests.plugin import Database
from tests.support.processes.commands import manage

PASSWORD: Final = "violet-harbour-lamp-47"  # noqa: S105  # of logins that a test makes
NAME: Final = "ada"


class Page(HTMLParser):
    """A page, as far as tests look: elements with their attributes, and texts by id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self._ids: dict[str, list[str]] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        if tag == "script":
            self.scripts.append((given, ""))
        if tag not in {"br", "hr", "img", "input", "link", "meta"}:
            self._open.append((tag, given.get("id")))
        if identity := given.get("id"):
            self._ids[identity] = []

    def handle_endtag(self, tag: str) -> None:
        if tag in {"th", "td", "dt", "dd", "li", "p"}:
            self.handle_data(" ")
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = attrs, text + data
        for _, identity in self._open:
            if identity:
                self._ids[identity].append(data)

    def text(self, identity: str) -> str:
        """What stands in the element with an id."""
        return " ".join("".join(self._ids[identity]).split())

    def having(self, name: str) -> Iterator[dict[str, str]]:
        """The attributes of each element that has one of that name."""
        return (given for _, given in self.elements if name in given)


class Browser:
    """Somebody at the console of one service; keeps cookies, fills in forms, follows no redirect by itself."""

    def __init__(self, port: int) -> None:
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=90)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str, **query: str) -> httpx.Response:
        """Open a page."""
        return self.client.get(f"/console/{path}", params=query or None)

    def page(self, path: str, **query: str) -> Page:
        """The same, of a page that must be there."""
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        return Page(response.text)

    def post(self, path: str, **given: Any) -> httpx.Response:
        """Fill in the form of a page and send it."""
        token = self.token("keys/" if path == "logout/" else path)
        return self.client.post(
            f"/console/{path}",
            data={"csrfmiddlewaretoken": token, **given},
            headers={"Origin": str(self.client.base_url)},
        )

    def token(self, path: str) -> str:
        """What the form of a page must send with it."""
        found = re.search('name="csrfmiddlewaretoken" value="([^"]*)"', self.get(path).text)
        assert found is not None, "the page has no form"
        return html.unescape(found[1])

    def log_in(self, name: str, password: str) -> httpx.Response:
        """Try to log in."""
        return self.post("login/", username=name, password=password)

    def change_password(self, old: str, new: str) -> httpx.Response:
        """Try to change the password."""
        return self.post("password/", old_password=old, new_password1=new, new_password2=new)


def one_time(database: Database, name: str, *options: str) -> str:
    """A new login's one-time password, made as an operator makes it."""
    return manage(database, "create_staff_user", name, *options)


def staff(database: Database, port: int, name: str = NAME) -> Browser:
    """Somebody who has logged in and has chosen a password."""
    first = one_time(database, name)
    browser = Browser(port)
    assert browser.log_in(name, first).status_code == 302
    changed = browser.change_password(first, PASSWORD)
    assert (changed.status_code, changed.headers.get("location")) == (302, "/console/"), changed.text
    return browser
