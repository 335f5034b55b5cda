"""Reports are exact at the size that they name, while numbers are issued, sealed and rolled up."""

import asyncio
import csv
import re
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event
from typing import NamedTuple
from uuid import uuid4

import httpx
import pytest

from tests.plugin import Database
from tests.support.clients import stats
from tests.support.clients.api_keys import make_key
from tests.support.clients.daily_reports import Cell, ask_reports, cells, step
from tests.support.clients.http import ask
from tests.support.clients.load import load
from tests.support.clients.orders import PATH, query
from tests.support.clients.stats import ask_stats
from tests.support.database import ledger
from tests.support.database.report_counts import roll_up
from tests.support.processes.clocks import of_one_day
from tests.support.processes.sealers import Sealer, seal, until_published
from tests.support.processes.service import ServiceFactory


class Answer(NamedTuple):
    """What an answer counts, and at which size."""

    size: int
    rows: list[Cell]


WRITERS = 2
LOAD = 2000
CUSTOMER = f"de619854-b59b-425e-9db4-{1:012x}"


@pytest.fixture(scope="module")
def ports(database: Database, service: ServiceFactory) -> list[int]:
    """Services of one writer each, which have some rows refused, so that serials have gaps."""
    found = [service(database, WEB_CONCURRENCY="1").port for _ in range(WRITERS)]
    with ledger.reading(database.owner_url) as session:
        session.execute("ALTER TABLE issuance_event ADD CHECK (destination <> 'ZW')")
    return found


@pytest.fixture(scope="module")
def key(database: Database, ports: list[int]) -> str:
    """A key that may see the reports, and read the log."""
    assert ports
    return make_key(database, "reports", "audit")


def issue(port: int, customer: str, count: int) -> None:
    for _ in range(count):
        assert ask(port, f"{PATH}?{query(customer_id=customer).decode()}").status_code == 200


def test_a_run_that_goes_on_after_it_was_rolled_up_is_counted_once(
    database: Database, ports: list[int], key: str
) -> None:
    """One writer's serials follow each other, so its leaves are one run; the position comes to lie inside it."""
    customer, counted = str(uuid4()), 0
    today = of_one_day(120).isoformat()
    for more in (5, 3, 4, 1):
        issue(ports[0], customer, more)
        counted += more
        seal(database, counted)
        for _ in range(2):
            answer = ask_stats(ports[0], customer, key).json()
            assert (answer["size"], answer["total"]) == (counted, counted)
            (day,) = ask_reports(ports[0], key).json()["days"]
            assert (day["day"], day["total"]) == (today, counted)
            roll_up(database)
    with ledger.reading(database.owner_url) as session:
        assert session.execute("SELECT leaves FROM run").fetchall() == [(counted,)]


def in_file(answer: httpx.Response) -> Answer:
    """What a file counts; its name says at which size."""
    assert answer.status_code == 200
    size = re.search(r'-(\d+)\.csv"$', answer.headers["content-disposition"])
    assert size is not None
    rows = csv.reader(answer.text.splitlines()[1:])
    return Answer(int(size[1]), [(row[0], row[1], row[2], int(row[4]), int(row[5])) for row in rows])


def of_day(port: int, key: str, day: str) -> Answer:
    """What one day's answer counts."""
    found = ask_reports(port, key, f"/{day}").json()
    counts = found["counts"]
    assert found["total"] == sum(each["count"] for each in counts)
    return Answer(
        found["size"],
        [(day, each["origin"], each["destination"], each["weight_band"], each["count"]) for each in counts],
    )


def listed(port: int, key: str) -> tuple[int, dict[str, int]]:
    """The totals by day, and the size."""
    found = ask_reports(port, key).json()
    assert found["total"] == sum(day["total"] for day in found["days"])
    return found["size"], {day["day"]: day["total"] for day in found["days"]}


def totals(counted: Iterable[Cell]) -> dict[str, int]:
    found = Counter[str]()
    for cell in counted:
        found[cell[0]] += cell[4]
    return dict(found)


def issue_many(port: int, enough: Event) -> None:
    while not enough.is_set():
        asyncio.run(load(port, LOAD, poison=0.01))


def keep_rolling(database: Database, enough: Event, positions: set[int]) -> None:
    """Take note of where the roll-up stood meanwhile, after each of its steps."""
    while not enough.is_set():
        positions.add(step(database, 3_000).leaves)


def test_every_answer_is_what_an_auditor_counts_in_the_log_of_that_size(
    database: Database, ports: list[int], key: str
) -> None:
    day, port, enough = datetime.now(UTC).date().isoformat(), ports[0], Event()
    days: list[Answer] = []
    files: list[Answer] = []
    customers: list[Answer] = []
    lists: list[tuple[int, dict[str, int]]] = []
    positions = set[int]()

    def ask_all() -> None:
        days.append(of_day(port, key, day))
        files.append(in_file(ask_reports(port, key, "?format=csv")))
        customers.append(in_file(ask_stats(port, CUSTOMER, key, "format=csv")))
        lists.append(listed(port, key))

    begun = listed(port, key)[0]
    with Sealer(database), ThreadPoolExecutor(WRITERS + 1) as threads:
        loading = [threads.submit(issue_many, each, enough) for each in ports]
        rolling = threads.submit(keep_rolling, database, enough, positions)
        try:
            while not all(each.done() for each in loading) and not rolling.done():
                ask_all()
                rolled = any(begun < position < files[-1].size for position in tuple(positions))
                if rolled and len({each.size for each in files}) >= 6:
                    enough.set()
        finally:
            enough.set()
        rolling.result()
        assert not any(each.exception() for each in loading)
        size = ledger.count(database.owner_url)
        until_published(database, size)
    ask_all()
    assert days[-1].size == files[-1].size == customers[-1].size == size

    log = stats.entries(port, key, size)
    tag = stats.tag(CUSTOMER).hex()
    for each in days:
        assert each.rows == [cell for cell in cells(log[: each.size]) if cell[0] == day]
    for each in files:
        assert each.rows == cells(log[: each.size])
    for each in customers:
        assert each.rows == cells(entry for entry in log[: each.size] if entry["customer_tag"] == tag)
    for at, found in lists:
        assert found == totals(cells(log[:at]))
    assert len({each.size for each in (*days, *files, *customers)}) >= 6, "the log grew meanwhile"
    assert any(begun < position < size for position in positions), "some of it was rolled up meanwhile"
