"""Who gets into the console: staff alone, with a password of their own, and slowly if they guess."""

import re
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from django.urls import URLPattern, get_resolver

from reports.console import urls
from tests.plugin import CLUSTER, Database
from tests.support.clients.console import NAME, PASSWORD, Browser, Page, one_time, staff
from tests.support.database.rows import Session
from tests.support.processes.commands import manage
from tests.support.processes.service import ServiceFactory

SAMPLES = {
    "ledger/<str:number>/": "ledger/3K9M7QX2PZ4MYIDT/",
    "keys/<int:identity>/revoke/": "keys/1/revoke/",
    "<path:path>": "nothing/here",
}
OPEN = {"login/", "logout/"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ROUTES = [str(each.pattern) for each in urls.urlpatterns]
CLOSED = [SAMPLES.get(route, route) for route in ROUTES if route not in OPEN]
WRONG = "Name or password is wrong, or tries came too fast"


@pytest.fixture(scope="module")
def port(lane_port: int) -> int:
    return lane_port


@pytest.fixture
def superuser(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        yield session


@pytest.fixture
def browser(port: int) -> Iterator[Browser]:
    with Browser(port) as browser:
        yield browser


@pytest.fixture(scope="module")
def ada(database: Database, port: int) -> str:
    """A login whose password was changed already."""
    staff(database, port).client.close()
    return NAME


@pytest.fixture
def inside(port: int, ada: str) -> Iterator[Browser]:
    """Somebody who is logged in."""
    with Browser(port) as browser:
        assert browser.log_in(ada, PASSWORD).status_code == 302
        yield browser


def location(response: httpx.Response) -> str:
    assert response.status_code == 302, response.text
    return response.headers["location"]


def test_every_page_of_the_console_is_tried_here() -> None:
    assert not [path for path in CLOSED if "<" in path]
    console = [each for each in get_resolver().url_patterns if str(each.pattern).startswith("console")]
    assert [str(each.pattern) for each in console] == ["console", "console/"]
    assert all(isinstance(each, URLPattern) for each in urls.urlpatterns), "what is included is not looked at here"


@pytest.mark.parametrize("method", METHODS)
def test_nobody_sees_a_page_without_having_logged_in(browser: Browser, method: str) -> None:
    for path in CLOSED:
        answer = browser.client.request(method, f"/console/{path}")
        if answer.status_code == 403:  # a form of another site: refused before anybody looks who sent it
            assert method in {"POST", "PUT", "PATCH", "DELETE"}
        else:
            assert location(answer) == f"/console/login/?next=/console/{path}"


def test_the_bare_path_leads_to_the_console(browser: Browser) -> None:
    assert location(browser.client.get("/console")) == "/console/"


def test_a_one_time_password_opens_nothing_but_its_own_change(database: Database, port: int, browser: Browser) -> None:
    first = one_time(database, "grace")
    assert location(browser.log_in("grace", first)) == "/console/"
    for path in CLOSED:
        if path != "password/":
            assert location(browser.get(path)) == "/console/password/"
    assert "Nothing else opens" in browser.page("password/").text("content")
    assert "This is the old password" in browser.change_password(first, first).text
    assert "too short" in browser.change_password(first, "short").text
    assert "too common" in browser.change_password(first, "administrator").text
    assert location(browser.get("")) == "/console/password/"
    assert location(browser.change_password(first, PASSWORD)) == "/console/"
    assert browser.get("").status_code == 200
    with Browser(port) as other:
        assert WRONG in other.log_in("grace", first).text
        assert location(other.log_in("grace", PASSWORD)) == "/console/"


def test_a_password_is_stored_as_a_slow_hash(ada: str, superuser: Session) -> None:
    [(row,)] = superuser.execute("SELECT s::text FROM staff_user s WHERE name = %s", [ada]).fetchall()
    assert PASSWORD not in row
    assert re.search(r"pbkdf2_sha256\$\d{6,}\$", row)


def test_whether_there_is_such_a_name_is_not_said(database: Database, port: int) -> None:
    one_time(database, "known")
    told = []
    for name in ("known", "unknown"):
        with Browser(port) as browser:
            answer = browser.log_in(name, "a wrong password")
            told.append((answer.status_code, re.sub('value="[^"]*"|<input[^>]*>', "", answer.text)))
    assert told[0] == told[1]
    assert WRONG in told[0][1]


@pytest.mark.parametrize("known", [True, False])
def test_after_many_tries_the_right_password_must_wait_too(
    ada: str, port: int, superuser: Session, *, known: bool
) -> None:
    name = ada if known else "nobody-has-this"
    superuser.execute("UPDATE staff_try SET tries = 0")
    with Browser(port) as browser:
        for _ in range(2):
            assert WRONG in browser.log_in(name, "a wrong password").text
        tried = "SELECT tries FROM staff_try WHERE tries > 0"
        assert superuser.execute(tried).fetchall() == [(2,)]
        superuser.execute("UPDATE staff_try SET tries = 11, tried_at = clock_timestamp() WHERE tries > 0")
        assert WRONG in browser.log_in(name, PASSWORD).text
        assert superuser.execute(tried).fetchall() == [(11,)], "it was not looked at, so it is no try"
        superuser.execute("UPDATE staff_try SET tried_at = clock_timestamp() - interval '61 s' WHERE tries > 0")
        answer = browser.log_in(name, PASSWORD)
        if known:
            assert location(answer) == "/console/"
        else:
            assert WRONG in answer.text
        assert superuser.execute(tried).fetchall() == ([] if known else [(12,)])


def test_a_login_ends_everywhere(inside: Browser, port: int) -> None:
    with Browser(port) as copy:
        copy.client.cookies.update(inside.client.cookies)
        assert copy.get("").status_code == 200
        assert location(inside.post("logout/")) == "/console/login/"
        assert location(copy.get("")).startswith("/console/login/"), "a stolen cookie is of no use after that"


def test_whoever_is_ended_is_out_at_once_and_back_with_a_new_password_alone(database: Database, port: int) -> None:
    with staff(database, port, "edsger") as browser:
        manage(database, "end_staff_user", "edsger")
        assert location(browser.get("")).startswith("/console/login/")
        assert WRONG in browser.log_in("edsger", PASSWORD).text
        again = one_time(database, "edsger", "--again")
        assert WRONG in browser.log_in("edsger", PASSWORD).text
        assert location(browser.log_in("edsger", again)) == "/console/"
        assert location(browser.get("")) == "/console/password/"


def test_another_password_ends_the_sessions_of_the_old_one(database: Database, port: int) -> None:
    with staff(database, port, "donald") as browser, Browser(port) as copy:
        copy.client.cookies.update(browser.client.cookies)
        assert location(browser.change_password(PASSWORD, PASSWORD[::-1])) == "/console/"
        assert browser.get("").status_code == 200
        assert location(copy.get("")).startswith("/console/login/")


def test_a_form_of_another_site_does_nothing(inside: Browser) -> None:
    for path in ("keys/", "customer/", "password/", "logout/"):
        refused = inside.client.post(f"/console/{path}", data={"name": "x"})
        assert refused.status_code == 403
        assert "Nothing was done" in Page(refused.text).text("trouble")
    assert inside.get("").status_code == 200


def test_a_login_leads_on_to_no_other_site(ada: str, browser: Browser) -> None:
    given = {"csrfmiddlewaretoken": browser.token("login/"), "username": ada, "password": PASSWORD}
    for elsewhere in ("//elsewhere.example/", "https://elsewhere.example/"):
        answer = browser.client.post("/console/login/", params={"next": elsewhere}, data=given | {"next": elsewhere})
        assert location(answer) == "/console/"
        given["csrfmiddlewaretoken"] = browser.token("keys/")


def test_cookies_are_out_of_reach_of_scripts_and_of_other_paths(ada: str, browser: Browser) -> None:
    cookies = browser.get("login/").headers.get_list("set-cookie")
    cookies += browser.log_in(ada, PASSWORD).headers.get_list("set-cookie")
    assert {cookie.partition("=")[0] for cookie in cookies} == {"csrftoken", "sessionid"}
    for cookie in cookies:
        assert {"HttpOnly", "Path=/console/", "SameSite=Lax"} <= set(cookie.split("; ")), cookie


def test_behind_https_the_cookies_never_leave_it(database: Database, lane_port: int, service: ServiceFactory) -> None:
    assert lane_port
    started = service(database, initialise=False, WEB_CONCURRENCY="1", HTTPS_ONLY="1")
    headers = {"X-Forwarded-Proto": "https", "Host": "localhost"}
    answer = httpx.get(f"http://127.0.0.1:{started.port}/console/login/", headers=headers, timeout=90)
    assert "Secure" in answer.headers["set-cookie"].split("; ")


def test_a_session_is_no_key_and_the_api_gives_no_cookie(inside: Browser) -> None:
    cookie = {"Cookie": "; ".join(f"{each.name}={each.value}" for each in inside.client.cookies.jar)}
    for path in ("/v1/tracking-numbers", "/v1/customers/de619854-b59b-425e-9db4-943979e1bd49/stats", "/docs", "/livez"):
        answer = httpx.get(f"{inside.client.base_url}{path}", headers=cookie, timeout=90)
        assert answer.status_code == (401 if path.startswith("/v1/") else 200), path
        assert "set-cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("vary", "")


def test_a_name_is_taken_once_and_must_be_plain(database: Database) -> None:
    one_time(database, "twice")
    for arguments, sentence in (
        (["twice"], "There is this login already"),
        (["Not Plain", "--again"], "a name has 1 to"),
    ):
        with pytest.raises(AssertionError, match=sentence):
            one_time(database, *arguments)


def test_without_a_database_the_console_says_so(database: Database, inside: Browser, service: ServiceFactory) -> None:
    started = service(database, initialise=False, WEB_CONCURRENCY="1")
    name = database.name
    with (
        psycopg.connect(CLUSTER.server.url(), autocommit=True) as superuser,
        Browser(started.port) as browser,
    ):
        superuser.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            browser.client.cookies.update(inside.client.cookies)
            answer = browser.get("")
        finally:
            superuser.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert (
        Page(answer.text).text("trouble") == "The ledger can't be reached Try again in a moment. Back to the overview"
    )
