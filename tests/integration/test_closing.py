"""Days are closed by reports that hold what the ledger holds, once and for good; what comes later corrects them."""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest
import rfc8785

from ledger.domain.note import Checkpoint, SignerKey
from reports import closing
from reports.session import Turn, session, turn
from tests.plugin import CLUSTER, LEDGER_KEY, Database
from tests.support.clients.load import load
from tests.support.database import ledger
from tests.support.database.database_copies import duplicate
from tests.support.database.report_counts import checks, counted, documents, expected, pages, position, roll_up
from tests.support.database.synthetic_ledger import fill
from tests.support.log.history import commit_only
from tests.support.processes.sealers import seal, state
from tests.support.processes.service import ServiceFactory

KEY = SignerKey.parse(LEDGER_KEY).verifier
GRACE = 900
FIRST = date(2026, 1, 1)
ONE_USAGE = "ctid = (SELECT min(ctid) FROM daily_usage WHERE day = '2026-01-01')"


@pytest.fixture(scope="module")
def origin() -> Iterator[Database]:
    """Events of January 1st, 2nd and 5th, 2026, with nothing in between; copied for what is done to them."""
    made = CLUSTER.create()
    moment = (
        "timestamptz '2026-01-01T12:00:00Z' + i * interval '8 s'"
        " + CASE WHEN i >= 8192 THEN interval '3 days' ELSE interval '0' END"
    )
    fill(made, 12_288, moment=moment)
    yield made
    CLUSTER.drop(made)


@pytest.fixture
def days(origin: Database) -> Iterator[Database]:
    """The same for each test."""
    made = CLUSTER.database(f"{origin.name}_days")
    duplicate(origin, made)
    yield made
    CLUSTER.drop(made)


def close(database: Database, now: datetime, zone: str = "UTC", grace: int = GRACE) -> list[date]:
    with session(database.reporter_url) as connection, turn(connection, Turn.COUNTING) as mine:
        assert mine
        return closing.close_days(connection, zone, grace, KEY.name, now)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def of_day(database: Database, day: date, zone: str = "UTC") -> list[dict[str, Any]]:
    """The counts that the report of a day must have."""
    total = expected(database, zone).total
    return [
        {"count": count, "destination": destination, "origin": origin, "weight_band": band}
        for (each, origin, destination, band), count in sorted(total.items())
        if each == day
    ]


def test_a_day_is_closed_once_it_is_over_by_the_grace(days: Database) -> None:
    assert close(days, at("2026-01-02T00:14:59Z")) == []
    assert close(days, at("2026-01-02T00:15:00Z")) == [FIRST]
    assert close(days, at("2026-01-02T00:15:00Z")) == []
    assert close(days, at("2026-01-03T00:00:00Z"), grace=0) == [date(2026, 1, 2)]


def test_missed_days_are_caught_up_in_order_and_one_without_events_is_a_report_of_none(days: Database) -> None:
    closed = close(days, at("2026-01-06T12:00:00Z"))
    assert closed == [FIRST + timedelta(days=each) for each in range(5)]
    found = [(day, json.loads(document)) for day, document in documents(days, "daily_report")]
    assert [day for day, _ in found] == closed
    for day, document in found:
        assert document["counts"] == of_day(days, day), day
        assert document["total"] == sum(each["count"] for each in document["counts"])
    assert [document["total"] == 0 for _, document in found] == [False, False, True, True, False]
    assert [(day, faults) for _, _, day, faults in checks(days)] == [(day, []) for day in closed]


def test_of_a_ledger_without_events_no_day_is_closed() -> None:
    empty = CLUSTER.create()
    assert close(empty, at("2026-01-06T12:00:00Z")) == []
    CLUSTER.drop(empty)


@pytest.mark.parametrize(
    ("zone", "begin", "last"),
    [
        ("Europe/Paris", "2026-10-23T21:00:00Z", "2026-10-26"),
        ("America/Havana", "2026-10-30T21:00:00Z", "2026-11-02"),  # on November 1st midnight comes twice
        ("America/Havana", "2026-03-06T21:00:00Z", "2026-03-09"),  # on the 8th never
    ],
)
def test_the_days_of_a_report_are_those_of_the_zone_s_clocks(zone: str, begin: str, last: str) -> None:
    made = CLUSTER.create()
    fill(made, 8192, moment=f"timestamptz '{begin}' + i * interval '35 s'")
    over = datetime.fromisoformat(last).replace(tzinfo=ZoneInfo(zone)) + timedelta(days=1)
    assert close(made, over - timedelta(seconds=1), zone, 0)[-1] == date.fromisoformat(last) - timedelta(days=1)
    assert close(made, over, zone, 0) == [date.fromisoformat(last)]
    for day, document in documents(made, "daily_report"):
        found = json.loads(document)
        assert (found["counts"], found["time_zone"]) == (of_day(made, day, zone), zone), day
    CLUSTER.drop(made)


def test_counts_that_are_not_the_ledger_s_give_no_report_and_name_what_differs(
    days: Database, caplog: pytest.LogCaptureFixture
) -> None:
    roll_up(days)
    ((origin, destination, band, count),) = changed(
        days,
        "UPDATE daily_total SET count = count + 1 WHERE ctid = (SELECT min(ctid) FROM daily_total WHERE day ="
        " '2026-01-01') RETURNING origin, destination, weight_band, count",
    )
    with caplog.at_level(logging.CRITICAL):
        assert close(days, at("2026-01-03T00:15:00Z")) == [date(2026, 1, 2)], "the others are closed"
    assert [day for day, _ in documents(days, "daily_report")] == [date(2026, 1, 2)]
    (_, _, day, faults), _ = checks(days)
    assert day == FIRST
    assert faults == [
        f"2026-01-01, {origin} to {destination}, weight band {band}: the ledger has {count - 1}, daily_total {count}.",
        "Run `manage.py rebuild_reports`; the report is written after that.",
    ]
    assert all(fault in caplog.text for fault in faults)
    # It is looked at again, and noted once.
    caplog.clear()
    with caplog.at_level(logging.CRITICAL):
        assert close(days, at("2026-01-03T00:15:00Z")) == []
    assert len(checks(days)) == 2
    assert not caplog.records
    # And once it is put right, it is closed.
    changed(
        days,
        f"UPDATE daily_total SET count = count - 1 WHERE (day, origin, destination, weight_band) ="
        f" ('2026-01-01', '{origin}', '{destination}', {band}) RETURNING 1",
    )
    assert close(days, at("2026-01-03T00:15:00Z")) == [FIRST]
    assert checks(days)[-1][2:] == (FIRST, [])


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE daily_usage SET count = count + 1 WHERE {ONE_USAGE}",
        f"DELETE FROM daily_usage WHERE {ONE_USAGE}",
        "INSERT INTO daily_usage VALUES (1, '2026-01-01', 3, sha256('nobody'), 'MY', 'ID')",
    ],
)
def test_a_customer_s_count_that_is_not_the_ledger_s_is_found_without_saying_whose(days: Database, change: str) -> None:
    roll_up(days)
    changed(days, f"{change} RETURNING 1")
    assert close(days, at("2026-01-02T00:15:00Z")) == []
    ((_, _, _, faults),) = checks(days)
    assert faults[0] == "2026-01-01: 1 counts of customers differ in daily_usage."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "DELETE FROM daily_total WHERE ctid = (SELECT min(ctid) FROM daily_total WHERE day = '2026-01-01')",
            "daily_total 0.",
        ),
        (
            "INSERT INTO daily_total VALUES (1, '2026-01-01', 3, 'XK', 'XK')",
            "XK to XK, weight band 3: the ledger has 0, daily_total 1.",
        ),
    ],
)
def test_a_count_too_few_or_too_many_is_found(days: Database, change: str, said: str) -> None:
    roll_up(days)
    changed(days, f"{change} RETURNING 1")
    assert close(days, at("2026-01-02T00:15:00Z")) == []
    ((_, _, _, faults),) = checks(days)
    assert faults[0].endswith(said)
    assert len(faults) == 2


def test_many_faults_are_not_all_listed(days: Database) -> None:
    roll_up(days)
    differing = len(changed(days, "UPDATE daily_total SET count = count + 1 WHERE day = '2026-01-01' RETURNING 1"))
    assert close(days, at("2026-01-02T00:15:00Z")) == []
    ((_, _, _, faults),) = checks(days)
    assert len(faults) == 22
    assert faults[20] == f"2026-01-01: {differing - 20} more counts differ in daily_total."


def test_a_report_is_signed_by_the_tree_and_a_late_event_corrects_it(
    database: Database, service: ServiceFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    running = service(database, WEB_CONCURRENCY="2")
    asyncio.run(load(running.port, 300))
    seal(database, ledger.count(database.owner_url))
    sealed = ledger.count(database.owner_url)
    asyncio.run(load(running.port, 200))  # issued "before midnight", and sealed after it
    tomorrow = datetime.now(UTC) + timedelta(days=1, seconds=GRACE)
    closed = close(database, tomorrow)
    before = documents(database, "daily_report")
    assert [day for day, _ in before] == closed
    for day, document in before:
        found = json.loads(document)
        assert rfc8785.dumps(found) == document.encode(), "canonical JSON"
        assert (found["size"], found["origin"], found["day"]) == (sealed, KEY.name, day.isoformat())
        tree = Checkpoint(KEY.name, found["size"], bytes.fromhex(found["root"]))
        KEY.verify(tree.text, bytes.fromhex(found["signature"]))
    assert sum(json.loads(document)["total"] for _, document in before) == sealed

    seal(database, sealed + 200)
    roll_up(database, most=1024)
    assert position(database) == sealed + 200
    assert documents(database, "daily_report") == before, "never edited"
    corrections = [json.loads(document) for _, document in documents(database, "daily_correction")]
    assert sum(each["total"] for each in corrections) == 200
    assert {(each["first_leaf"], each["end_leaf"]) for each in corrections} == {(sealed, sealed + 200)}
    both: Counter[tuple[Any, ...]] = Counter()
    for day, document in [*before, *documents(database, "daily_correction")]:
        for each in json.loads(document)["counts"]:
            both[day, each["origin"], each["destination"], each["weight_band"]] += each["count"]
    assert both == expected(database).total == counted(database).total
    with psycopg.connect(database.owner_url) as connection:
        for table in ("daily_report", "daily_correction"):
            for digest, document in connection.execute(f"SELECT digest, document FROM {table}".encode()):
                assert hashlib.sha256(document.encode()).digest() == digest
    assert close(database, tomorrow) == [], "a day has one report"

    # What is sealed and can't be published: no report until it can.
    asyncio.run(load(running.port, 50))
    commit_only(database, sealed + 250)
    monkeypatch.setattr(closing, "_TRIES", 3)
    with caplog.at_level(logging.WARNING):
        assert close(database, tomorrow + timedelta(days=2)) == []
    assert "what the log has sealed is not published yet" in caplog.text
    seal(database, sealed + 250)
    assert len(close(database, tomorrow + timedelta(days=2))) == 2
    assert state(database)["published_size"] == sealed + 250
    assert msgspec.json.decode(documents(database, "daily_report")[-1][1])["size"] == sealed + 250


def test_a_day_is_recounted_by_block_ranges_and_not_by_the_whole_table() -> None:
    made = CLUSTER.create()
    fill(made, 98_304, moment="timestamptz '2026-01-01T00:00:00Z' + i * interval '30 s'")  # 34 days
    with psycopg.connect(made.owner_url, autocommit=True) as superuser:
        roll_up(made)
        superuser.execute("VACUUM (ANALYZE) issuance_event, daily_usage, daily_total, block_cursor")
        before = pages(superuser)
        assert len(close(made, at("2026-01-02T00:15:00Z"))) == 1
        read = pages(superuser)
        sizes: dict[str, int] = dict(
            superuser.execute("SELECT relname, pg_relation_size(oid) / 8192 FROM pg_class WHERE relkind = 'r'")
        )
    for table in ("issuance_event", "daily_usage"):
        assert 0 < read[table] - before[table] < sizes[table] / 5, (table, read[table] - before[table], sizes[table])
    CLUSTER.drop(made)


def changed(database: Database, statement: str) -> list[tuple[Any, ...]]:
    """Change counts as the owner; it must change something."""
    with psycopg.connect(database.owner_url) as connection:
        found = connection.execute(statement.encode()).fetchall()
    assert found, statement
    return found
