"""The list of events: which it holds, in which order, page by page, while more are issued."""

import pytest

from tests.logs import Heard
from tests.plugin import Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask
from tests.support.log import lists
from tests.support.log.history import issue
from tests.support.log.lists import PATH, follow, in_order, leaves, numbers, path
from tests.support.processes.sealers import Sealer, until_published
from tests.support.processes.service import ServiceFactory

BEFORE, ROUNDS, MEANWHILE, LIMIT = 600, 5, 6000, 83
ORDERS = ("serial", "-serial")


@pytest.fixture(scope="module")
def ports(database: Database, service: ServiceFactory) -> list[int]:
    """Two services, so two writers, each with blocks of its own."""
    return [service(database, initialise=first, WEB_CONCURRENCY="1").port for first in (True, False)]


@pytest.fixture(scope="module")
def busy_port(ports: list[int]) -> int:
    return ports[0]


@pytest.fixture(scope="module")
def auditor(database: Database, busy_port: int) -> str:
    assert busy_port
    return make_key(database, "audit")


def test_an_empty_log_has_an_empty_list(busy_port: int, auditor: str) -> None:
    answer = ask(busy_port, PATH, **bearer(auditor))
    assert answer.json() == {"next": None, "previous": None, "results": [], "size": 0}
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", "no-store")


@pytest.fixture(scope="module")
def grown(database: Database, ports: list[int], auditor: str) -> list[tuple[str, lists.Listed]]:
    """Lists that were paged through, either way, while two writers issued and the sealer sealed."""
    one, other = ports
    with Sealer(database):
        for turn, port in enumerate((one, other, one), 1):
            issue(port, BEFORE // 3)
            until_published(database, BEFORE // 3 * turn)  # what is sealed at once is in the order of serials
        read: list[tuple[str, lists.Listed]] = []
        for round_ in range(1, ROUNDS + 1):
            share = MEANWHILE // ROUNDS // len(ports)
            with lists.issuing(one, share), lists.issuing(other, share):
                read += [(order, follow(one, auditor, path(order=order, limit=LIMIT))) for order in ORDERS]
            until_published(database, BEFORE + MEANWHILE // ROUNDS * round_)
    return read


def test_paging_neither_skips_nor_repeats_while_issuing_goes_on(
    busy_port: int, auditor: str, grown: list[tuple[str, lists.Listed]]
) -> None:
    assert len({listed.size for _, listed in grown}) > ROUNDS // 2, "the log grew meanwhile"
    log = leaves(busy_port, auditor, BEFORE + MEANWHILE)
    for order, listed in grown:
        expected = in_order(log[: listed.size])
        assert listed.rows == (expected if order == "serial" else expected[::-1])
    assert numbers(in_order(log[:BEFORE])) != numbers(log[:BEFORE]), (
        "the writers took turns, so leaves and serials differ in order"
    )


def test_a_list_that_was_begun_stays_the_same_list(
    busy_port: int, auditor: str, grown: list[tuple[str, lists.Listed]]
) -> None:
    order, listed = next((order, listed) for order, listed in grown if len(listed.links) > 5)
    again = follow(busy_port, auditor, listed.links[1])
    assert again.size == listed.size
    assert again.rows == listed.rows[LIMIT:], order
    assert follow(busy_port, auditor, path(order=order)).size == BEFORE + MEANWHILE, "a new one has all"


def test_pages_lead_back_the_way_they_came(busy_port: int, auditor: str, grown: list[tuple[str, lists.Listed]]) -> None:
    assert grown
    for order in ORDERS:
        there = follow(busy_port, auditor, path(order=order, limit=500))
        back = follow(busy_port, auditor, there.links[-1], by="previous")
        assert back.rows == there.rows[::-1]
        first = ask(busy_port, back.links[-1], **bearer(auditor)).json()
        assert first["previous"] is None
        assert follow(busy_port, auditor, first["next"]).rows == there.rows[500:]


def test_a_cursor_goes_with_any_limit(busy_port: int, auditor: str, grown: list[tuple[str, lists.Listed]]) -> None:
    assert grown
    whole = follow(busy_port, auditor, path(limit=1000)).rows
    link = ask(busy_port, path(limit=10), **bearer(auditor)).json()["next"]
    assert "limit=10&" in link
    assert ask(busy_port, link.replace("limit=10&", "limit=3&"), **bearer(auditor)).json()["results"] == whole[10:13]


def test_a_page_has_a_hundred_unless_another_number_is_asked_for(
    busy_port: int, auditor: str, grown: list[tuple[str, lists.Listed]]
) -> None:
    assert grown
    for query, expected in ((PATH, 100), (path(limit=1), 1), (path(limit=1000), 1000)):
        assert len(ask(busy_port, query, **bearer(auditor)).json()["results"]) == expected


def test_no_log_holds_a_query(database: Database, auditor: str, service: ServiceFactory, heard: Heard) -> None:
    running = service(database, initialise=False, WEB_CONCURRENCY="1", LOG_LEVEL="DEBUG")
    customer = "de619854-b59b-425e-9db4-943979e1bd49"
    for more in ("", "&format=csv", "&limit=0", "&cursor=AAAA", "&customer_name=RedBox"):
        for key in (auditor, "nobody"):
            ask(running.port, f"{path(customer_id=customer)}{more}", **bearer(key))
    running.stop()
    ours = heard.read().splitlines()
    assert any("Bad Request: /v1/tracking-numbers" in line for line in ours), "this is the service's log"
    for line in ours:
        for secret in (customer, customer.replace("-", ""), "customer_id", "RedBox", auditor):
            assert secret not in line
