"""Makes the counts anew from the ledger, compares them with the live ones, and puts them in their place.

The new tables are in a schema of their own, which comes first on the search path, so that it is the roll-up itself that
fills them. Comparing and swapping are one transaction; whatever is killed before its end leaves the live ones as they
are. The position is swapped with the counts: whoever reads both, reads of either what belongs together.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from core.databases import OWNER_ROLE
from ledger.log import Connection, LogError
from reports import rollup
from reports.rollup import Position
from reports.session import Turn, turn

SCHEMA: Final = "reports_rebuild"
MOST_SHOWN: Final = 20
_COUNTS: Final = Path(__file__).parent / "sql" / "counts.sql"
_SWAPPED: Final = ("rollup_state", "daily_usage", "daily_total")
# What the roll-up looks at besides, empty: here no part was counted, and no day is closed.
_BESIDE: Final = ("rollup_part", "rollup_part_usage", "daily_report")
_PATIENCE, _PAUSE = 300.0, 0.2
"""Seconds to wait for a turn or a lock."""

_TOTALS: Final = f"""
    SELECT day::text, origin, destination, weight_band, coalesce(l.count, 0), coalesce(r.count, 0), count(*) OVER ()
      FROM public.daily_total l FULL JOIN {SCHEMA}.daily_total r USING (day, origin, destination, weight_band)
     WHERE l.count IS DISTINCT FROM r.count ORDER BY day, 2, 3, 4 LIMIT {MOST_SHOWN}"""  # noqa: S608  # constants
_USAGE: Final = f"""
    SELECT count(*), min(day)::text, max(day)::text
      FROM public.daily_usage l
      FULL JOIN {SCHEMA}.daily_usage r USING (customer_tag, day, origin, destination, weight_band)
     WHERE l.count IS DISTINCT FROM r.count"""  # noqa: S608  # constants
_STATE: Final = "SELECT max(leaves), max(time_zone) FROM public.rollup_state"
_ZONE_OF_REPORTS: Final = "SELECT document::json ->> 'time_zone' FROM public.daily_report ORDER BY day DESC LIMIT 1"


class RebuildError(Exception):
    """The counts can't be made anew now; nothing is changed, and the message says what to do."""


class Rebuilt(NamedTuple):
    """What was counted, and sentences that say how the live counts differed; none if they were the same."""

    leaves: int
    differences: list[str]


def rebuild(connection: Connection, zone: str, progress: Callable[[int, int], None]) -> Rebuilt:
    """Count the whole log by the days of ``zone`` while the live counts go on, and swap.

    Args:
        connection: the owner's (reports.session), in no transaction.
        zone: the IANA name of a time zone. Once a day's report is out, it is that of all reports.
        progress: told how many leaves of how many are counted.

    Raises:
        RebuildError: another one is at work, or something is in the way.
        rollup.ZoneError: there is no such zone.
        LogError: the log's rows are not those that were sealed.
        psycopg.Error: the database failed.
    """
    with turn(connection, Turn.REBUILDING) as mine:
        if not mine:
            raise RebuildError("The reports are being rebuilt by somebody else.")
        _check(connection, zone)
        _clear(connection)
        _make(connection)
        try:
            _fill(connection, zone, progress)
            connection.execute(f"ANALYZE {', '.join(f'{SCHEMA}.{table}' for table in _SWAPPED)}".encode())
            return _with_the_turn(connection, zone)
        finally:
            if not connection.closed:
                connection.execute("RESET search_path")
                _clear(connection)


def _check(connection: Connection, zone: str) -> None:
    rollup.check_zone(connection, zone)
    found = connection.execute(_ZONE_OF_REPORTS).fetchone()
    if found is not None and found[0] != zone:
        raise RebuildError(
            f"Reports of days of {found[0]} are out, and stay; days of {zone} would overlap them. Set REPORT_TIME_ZONE "
            f"back to {found[0]}."
        )


def _make(connection: Connection) -> None:
    """Make empty tables like the live ones, in a schema that belongs to the owner."""
    connection.execute("RESET ROLE")
    try:
        connection.execute(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {OWNER_ROLE}".encode())
    except psycopg.errors.InsufficientPrivilege as error:
        info = connection.info
        raise RebuildError(
            f"The login {info.user} (DATABASE_OWNER_URL) may not create a schema. Have a superuser run: GRANT CREATE "
            f'ON DATABASE "{info.dbname}" TO "{info.user}";'
        ) from error
    finally:
        connection.execute(f"SET ROLE {OWNER_ROLE}".encode())
    with connection.transaction():
        connection.execute(_COUNTS.read_text(encoding="utf-8").replace("public.", f"{SCHEMA}.").encode())
        for table in _BESIDE:
            connection.execute(f"CREATE TABLE {SCHEMA}.{table} (LIKE public.{table})".encode())


def _clear(connection: Connection) -> None:
    """Remove what is left, also of a run that was killed."""
    connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())


def _fill(connection: Connection, zone: str, progress: Callable[[int, int], None]) -> Position:
    """Count into the new tables up to the head."""
    connection.execute(f"SET search_path = {SCHEMA}, public".encode())
    place = rollup.position(connection)
    while place.leaves < place.size:
        place = rollup.step(connection, zone)
        progress(*place)
    return place


def _with_the_turn(connection: Connection, zone: str) -> Rebuilt:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with turn(connection, Turn.COUNTING) as mine:
            if mine:
                _fill(connection, zone, lambda _done, _all: None)
                with connection.transaction():
                    place = _fill(connection, zone, lambda _done, _all: None)
                    differences = _compare(connection, zone, place)
                    _swap(connection)
                return Rebuilt(place.leaves, differences)
        time.sleep(_PAUSE)
    raise RebuildError("The roll-up did not end its turn; look what the reports' workers do, and run this again.")


def _compare(connection: Connection, zone: str, place: Position) -> list[str]:
    """Roll the live counts up to the same head, and say how they differ."""
    row = connection.execute(_STATE).fetchone()
    leaves, live_zone = row or (None, None)
    if live_zone not in {None, zone}:
        return [f"The live counts were of the days of {live_zone}, so they were not compared."]
    found = []
    try:
        connection.execute("SET search_path = public")
        while rollup.step(connection, zone).leaves < place.size:
            pass
    except (LogError, psycopg.DataError, psycopg.IntegrityError) as error:
        found.append(f"The live counts stood at leaf {leaves}, and could not go on: {str(error).strip()}")
    totals = connection.execute(_TOTALS.encode()).fetchall()
    found += [
        f"{day}, {origin} to {destination}, weight band {band}: {live} live, {rebuilt} rebuilt."
        for day, origin, destination, band, live, rebuilt, _ in totals
    ]
    if totals and totals[0][-1] > len(totals):
        found.append(f"{totals[0][-1]} counts differ in daily_total; these are the first.")
    ((customers, first, last),) = connection.execute(_USAGE.encode()).fetchall()
    if customers:
        found.append(f"{customers} counts of customers differ in daily_usage, from {first} to {last}.")
    return found


def _swap(connection: Connection) -> None:
    """Put the new tables in the place of the live ones, as soon as nobody is reading those."""
    live = ", ".join(f"public.{table}" for table in _SWAPPED)
    _lock(connection, live)
    connection.execute(f"DROP TABLE {live}".encode())
    for table in _SWAPPED:
        connection.execute(f"ALTER TABLE {SCHEMA}.{table} SET SCHEMA public".encode())
    connection.execute("DELETE FROM public.rollup_part")
    connection.execute("DELETE FROM public.rollup_part_usage")
    _clear(connection)


def _lock(connection: Connection, tables: str) -> None:
    """Lock tables, by short tries: whoever wants to read them waits behind one."""
    connection.execute("SET LOCAL lock_timeout = '1s'")
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with connection.transaction():
                connection.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE".encode())
        except psycopg.errors.LockNotAvailable as error:
            if time.monotonic() > deadline:
                raise RebuildError(
                    "Some session reads the counts and does not end; pg_locks tells which. Run this again after it."
                ) from error
            time.sleep(_PAUSE)
        else:
            return
