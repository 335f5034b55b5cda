"""Days that are over: each is counted anew from the ledger, and if the roll-up has the same, its report is written.

A report is written once, over the published tree and in its moment: the roll-up has then counted exactly the leaves of
that tree, so whatever comes later is a correction.
"""

import logging
import time
from datetime import UTC, date, datetime
from typing import Final

from ledger import log
from ledger.log import Connection, State
from reports import rollup
from reports.domain.document import Report
from reports.recount import recount

_TRIES, _PAUSE = 100, 0.1
"""Between a commit of the sealer and its publication are some milliseconds, several times a second."""

# A day is over once the clock of its zone, put back by the grace, shows a later one.
_OPEN: Final = """
    SELECT d.day::date
      FROM (SELECT min(day) AS first, (%(now)s - make_interval(secs => %(grace)s)) AT TIME ZONE %(zone)s AS clock
              FROM daily_total) AS known
     CROSS JOIN generate_series(known.first::timestamp, clock::date - interval '1 day', interval '1 day') AS d (day)
     WHERE NOT EXISTS (SELECT FROM daily_report r WHERE r.day = d.day::date)
     ORDER BY 1"""
_WRITE: Final = """
    INSERT INTO daily_report (day, size, total, root, signature, document, digest)
    VALUES (%s, %s, %s, %b, %b, %s, %b)"""
# Once for each outcome: a day that differs is looked at again each time.
_NOTE: Final = """
    INSERT INTO ledger_check (first_leaf, end_leaf, day, faults)
    SELECT 0, %(size)s, %(day)s, %(faults)s::text[]
     WHERE %(faults)s::text[] IS DISTINCT FROM
           (SELECT faults FROM ledger_check WHERE day = %(day)s ORDER BY id DESC LIMIT 1)"""

logger = logging.getLogger(__name__)


def close_days(connection: Connection, zone: str, grace: int, log_name: str, now: datetime) -> list[date]:
    """Write the reports that are due, missed ones too; the caller has the turn COUNTING.

    A day whose counts differ gets no report: the table ``ledger_check`` and the log say which, and it is looked at
    again next time. If the sealer can't publish, all days wait.

    Args:
        connection: the reporter's, in no transaction.
        zone: the IANA name of the time zone whose days are counted.
        grace: seconds after a day's end before it is due.
        log_name: the log's, as its checkpoints have it.
        now: the present, with a time zone.

    Returns:
        The days whose reports are written now.

    Raises:
        rollup.ZoneError: the days are those of another zone.
        LogError: the log's rows are not those that were sealed.
        psycopg.Error: the database failed; each report is written or not.
    """
    place = rollup.position(connection)
    while place.leaves < place.size:
        place = rollup.step(connection, zone)
    due = connection.execute(_OPEN, {"now": now, "grace": grace, "zone": zone}).fetchall()
    closed = []
    for (day,) in due:
        done = _close(connection, zone, log_name, day)
        if done is None:
            logger.warning(
                "No report is written, from that of %s on: what the log has sealed is not published yet. If the "
                "sealer's log shows no way out of it, see to the publication.",
                day,
            )
            break
        if done:
            closed.append(day)
    return closed


def present(connection: Connection) -> datetime:
    """The present by the slower of two clocks, ours and PostgreSQL's.

    A report is for good, so one clock that is fast must not end a day. One that is slow only makes reports late.
    """
    ((theirs,),) = connection.execute("SELECT clock_timestamp()")
    now: datetime = min(theirs, datetime.now(UTC))
    return now


def _close(connection: Connection, zone: str, log_name: str, day: date) -> bool | None:
    """Whether a day is closed now; None if the tree was never a published one at the moment of looking."""
    for _ in range(_TRIES):
        with connection.transaction():
            state = log.read_state(connection)
            if state.size == state.published_size:
                return _compare(connection, zone, log_name, day, state)
        time.sleep(_PAUSE)
    return None


def _compare(connection: Connection, zone: str, log_name: str, day: date, state: State) -> bool:
    """Write the report of a day, or what is wrong; in the transaction that sees the tree as published."""
    while rollup.step(connection, zone).leaves < state.size:
        pass
    counts, faults = recount(connection, zone, day, state.closed_below)
    if faults:
        faults.append("Run `manage.py rebuild_reports`; the report is written after that.")
    else:
        report = Report(day, zone, log_name, state.size, state.published_root, state.published_signature, counts)
        given = [day, report.size, report.total, report.root, report.signature]
        connection.execute(_WRITE, [*given, report.document.decode(), report.digest])
    noted = connection.execute(_NOTE, {"size": state.size, "day": day, "faults": faults}).rowcount
    if faults and noted:
        logger.critical("The counts of %s are not the ledger's, so it gets no report. %s", day, " ".join(faults))
    return not faults
