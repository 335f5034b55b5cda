"""Counts up to the sealed head: the same wherever the roll-up stands, and read by index however large the ledger."""

import re
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from msgspec.structs import replace

from ledger.domain.tag import KeyRing
from reports import counted, customers, daily
from reports.counted import Period
from reports.customers import By
from reports.rollup import ZoneError
from tests.plugin import Database
from tests.support.clients.daily_reports import step
from tests.support.database.report_counts import roll_up
from tests.support.database.synthetic_ledger import CUSTOMER, LARGE_CUSTOMER, SMALL_CUSTOMER, fill
from tests.support.processes.secret_keys import TAG_KEY

EVENTS = 24_000
MOMENT = "timestamptz '2026-03-27T00:00:00Z' + i * interval '17 s'"
"""Five days: Paris has no half past two on one of them."""
ZONES = ("UTC", "Asia/Kathmandu", "Europe/Paris", "America/St_Johns")
RING = KeyRing({1: bytes.fromhex(TAG_KEY)})
TAGS = {name: [RING.tag(UUID(name).bytes)[1]] for name in (SMALL_CUSTOMER, CUSTOMER, LARGE_CUSTOMER)}
TAGS["two keys"] = [tag for tags in TAGS.values() for tag in tags]
PERIODS = (Period(), Period(date(2026, 3, 28), date(2026, 3, 30)), Period(None, date(2026, 3, 29)))
FIRST, END = date(2026, 3, 28), date(2026, 4, 1)
_KEYS = {By.DAY: "day", By.ROUTE: "origin, destination", By.WEIGHT_BAND: "weight_band"}

pytestmark = pytest.mark.django_db


def recount(database: Database, keys: str, zone: str, period: Period, tags: list[bytes] | None) -> list[Any]:
    """What one GROUP BY over the ledger counts."""
    first, end = period.first or date(1970, 1, 1), period.end or date(9999, 12, 31)
    with psycopg.connect(database.owner_url) as session:
        return session.execute(
            f"""SELECT {keys}, count(*) FROM (
                    SELECT *, (requested_at AT TIME ZONE %s)::date AS day FROM issuance_event) AS e
                 WHERE day >= %s AND day < %s AND (%s::bytea[] IS NULL OR customer_tag = ANY(%s))
                 GROUP BY {keys} ORDER BY {keys}""".encode(),
            [zone, first, end, tags, tags],
        ).fetchall()


@pytest.fixture(scope="module")
def filled(database: Database) -> Database:
    """A database with a ledger."""
    fill(database, EVENTS, moment=MOMENT)
    return database


@pytest.fixture(autouse=True)
def _nothing_is_rolled_up(filled: Database) -> None:
    with psycopg.connect(filled.owner_url, autocommit=True) as session:
        session.execute("TRUNCATE daily_usage, daily_total")
        session.execute("UPDATE rollup_state SET leaves = 0, time_zone = NULL")


@pytest.mark.parametrize("zone", ZONES)
def test_counts_are_those_of_one_group_by_wherever_the_roll_up_stands(database: Database, zone: str) -> None:
    positions = []
    with override_settings(ENV=replace(settings.ENV, report_time_zone=zone)):
        while True:
            for tags in TAGS.values():
                for period in PERIODS:
                    for by, keys in _KEYS.items():
                        expected = recount(database, keys, zone, period, tags)
                        assert customers.count(tags, period, by)[:2] == (EVENTS, expected)
            within = Period(FIRST, END)
            totals = recount(database, "day", zone, within, None)
            assert [(day.day, day.total) for day in daily.listed(Period(FIRST, END)).days] == totals
            bands = recount(database, "weight_band", zone, within, None)
            routes = recount(database, "origin, destination", zone, within, None)
            busiest = sorted(routes, key=lambda route: (-route[2], *route[:2]))
            assert daily.overview(FIRST, END, 7) == (EVENTS, dict(totals), busiest[:7], bands)
            whole = recount(database, daily.CELLS, zone, within, None)
            days = [FIRST + timedelta(days=n) for n in range((END - FIRST).days)]
            assert [(day, *count) for day in days for count in daily.cells(day).counts] == whole
            with daily.export(within) as export:
                assert (export.size, [row for batch in export for row in batch]) == (EVENTS, whole)
            positions.append(found := step(database, 10_000, zone=zone))
            if positions[-2:] == [found, found]:
                break
    assert len(positions) == 4, "nothing, some, more and all of it was rolled up"


def test_an_export_is_of_one_moment_and_read_in_batches(database: Database) -> None:
    step(database, 10_000)
    export = daily.export(Period())
    whole = recount(database, daily.CELLS, "UTC", Period(), None)
    batches = iter(export)
    found = next(batches)
    assert len(found) == 1000
    roll_up(database)
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute("DELETE FROM daily_total")
    assert found + [row for batch in batches for row in batch] == whole
    export.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors")
        assert cursor.fetchone() == (0,)


def test_days_of_another_time_zone_are_not_given_out_as_ours(database: Database) -> None:
    step(database, 10_000, zone="Asia/Tokyo")
    for ask in (
        lambda: daily.listed(Period(FIRST, END)).days,
        lambda: daily.overview(FIRST, END, 1),
        lambda: daily.export(Period()),
        lambda: customers.count(TAGS[CUSTOMER], Period(), By.DAY),
    ):
        with pytest.raises(ZoneError, match=r"days of Asia/Tokyo, and REPORT_TIME_ZONE is UTC.*rebuild_reports"):
            ask()


@pytest.mark.parametrize("steps", [1, 3])
def test_a_customers_counts_are_read_by_index(database: Database, steps: int) -> None:
    for _ in range(steps):
        step(database, 10_000)
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute("VACUUM (ANALYZE) daily_usage, daily_total")
    for tags in TAGS.values():
        with CaptureQueriesContext(connection) as statements:
            customers.count(tags, Period(), By.ROUTE)
        (statement,) = statements
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement['sql']}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert not re.search("Seq Scan on (issuance_event|daily_usage)", plan), plan
        conditions = re.findall(r"Index Cond: (.*)", plan)
        assert any("customer_tag" in each and "serial" in each for each in conditions), plan
        assert any("customer_tag" in each and "serial" not in each for each in conditions), plan


def test_no_statement_is_compiled_whatever_it_is_estimated_to_cost() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)


def test_what_day_it_is_is_that_of_the_time_zone() -> None:
    found = []
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        with override_settings(ENV=replace(settings.ENV, report_time_zone=zone)):
            found.append(counted.today())
    assert found[0] - found[1] in {timedelta(days=1), timedelta(days=2)}, "they are 26 hours apart"
