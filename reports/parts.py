"""Parts of a range that is far behind: each is counted by one task, and added by the roll-up when its turn comes.

Tasks may be lost, repeated or late: a part that is missing is found again, or the roll-up counts it itself.
"""

from typing import Final

import psycopg

from ledger.log import Connection
from reports.rollup import COUNTED, MOST_LEAVES, check_count

AHEAD: Final = 8
"""Parts that may wait at a time: a part takes up to as much space as its leaves' counts will."""

# The ranges that reports.rollup will come to after the one that it counts next, but for those that are there.
_MISSING = """
    WITH ends AS (
        SELECT (SELECT min(first_leaf) FROM run WHERE first_leaf >= n * %(most)s) AS leaf
          FROM rollup_state, generate_series(leaves / %(most)s + 1, leaves / %(most)s + 1 + %(ahead)s) AS n),
    ranges AS (SELECT leaf AS first_leaf, lead(leaf) OVER (ORDER BY leaf) AS end_leaf FROM ends)
    SELECT first_leaf, end_leaf FROM ranges
     WHERE end_leaf IS NOT NULL AND first_leaf NOT IN (SELECT first_leaf FROM rollup_part)
     ORDER BY first_leaf DESC"""
_CLAIM = """
    INSERT INTO rollup_part (first_leaf, end_leaf, time_zone)
    SELECT %s, %s, %s FROM rollup_state WHERE leaves <= %s"""
_COUNT = f"""
    WITH {COUNTED},
    written AS (
        INSERT INTO rollup_part_usage (first_leaf, day, customer_tag, origin, destination, weight_band, count)
        SELECT %(begin)s, day, customer_tag, origin, destination, weight_band, count FROM counted)
    SELECT coalesce(sum(count), 0)::bigint,
           coalesce(sum(count) FILTER (WHERE day NOT BETWEEN '0001-01-01' AND '9999-12-31'), 0)::bigint FROM counted"""  # noqa: S608  # constants


def missing(connection: Connection, most: int = MOST_LEAVES) -> list[tuple[int, int]]:
    """The parts (first leaf, leaf after the last) to be counted ahead of the roll-up; none if it is near the head.

    The last comes first: the roll-up works its way from the other end, and whatever it reaches first it counts itself.

    Args:
        connection: the reporter's.
        most: leaves of a part, the same as the roll-up's.
    """
    found = connection.execute(_MISSING.encode(), {"most": most, "ahead": AHEAD}).fetchall()
    return [(first, end) for first, end in found]


def count(connection: Connection, zone: str, first: int, end: int) -> bool:
    """Count one part, whole or not at all; nobody needs a turn for it.

    Returns:
        Whether it was counted now; False if it is there, or if the roll-up has passed it.

    Raises:
        LogError: these leaves' rows are not those that were sealed, or the part does not end where a run does.
        psycopg.Error: the database failed; nothing is counted.
    """
    try:
        with connection.transaction():
            if not connection.execute(_CLAIM, [first, end, zone, first]).rowcount:
                return False
            row = connection.execute(_COUNT.encode(), {"begin": first, "end": end, "zone": zone}).fetchone()
            check_count(first, end, *(row or (0, 0)))
    except psycopg.errors.UniqueViolation:
        return False  # another task's; where it was under way, the claim has waited for it
    return True
