"""Leaves as serials, in SQL: for statements that count the events of a range of leaves where they lie."""

from typing import Final

from ledger.domain.serial import BLOCK_SIZE

SPANS: Final = f"""
    SELECT CASE WHEN r.first_leaf >= bounds.begin_leaf THEN r.first_serial
                ELSE (SELECT b.serial FROM issuance_event b WHERE b.serial BETWEEN r.first_serial AND r.last_serial
                       ORDER BY b.serial OFFSET bounds.begin_leaf - r.first_leaf LIMIT 1) END AS first_serial,
           r.last_serial
      FROM bounds JOIN run r ON r.first_leaf > bounds.begin_leaf - {BLOCK_SIZE}
                            AND r.first_leaf + r.leaves > bounds.begin_leaf
                            AND r.first_leaf < bounds.end_leaf"""  # noqa: S608  # constants
"""The serials (first_serial, last_serial) whose events are the leaves from begin_leaf to end_leaf - 1.

It reads a row ``bounds (begin_leaf, end_leaf)`` that the statement has to provide. ``end_leaf`` must be where a run
ends, as is any size that the tree has in the snapshot of the statement, and the first leaf of any run. ``begin_leaf``
may lie anywhere: a run may have gone on since a size was read. Every row between two serials of a run is a leaf of it.
"""
