"""What was done after a restore, written once: the rows of the table ``recovery``, and what they say in words."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.types.multirange import Int8Multirange
from psycopg.types.range import Int8Range

from ledger.log import Connection

BEGUN, RECOVERED, NEW_LOG = "begun", "recovered", "new log"
_MOST = 20
"""Ranges of lost serials that are told; the record has all."""
_ADD = """
    INSERT INTO recovery (kind, leaves_before, leaves, events, blocks, lost, verifier_key, note, reason)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_ALL = """
    SELECT recorded_at, kind, leaves_before, leaves, events, blocks, lost, verifier_key, note, reason
      FROM recovery ORDER BY id"""


class Record(NamedTuple):
    """One row; see ledger/sql/recovery.sql. Ranges are of block ids, and of serials."""

    kind: str
    leaves_before: int
    leaves: int
    events: int
    blocks: range
    lost: Sequence[range]
    verifier_key: str
    note: str | None
    reason: str | None = None


def add(connection: Connection, record: Record) -> None:
    """Write it, in the owner's role."""
    counts = [record.leaves_before, record.leaves, record.events]
    ranges = [_given(record.blocks), Int8Multirange(map(_given, record.lost))]
    connection.execute(_ADD, [record.kind, *counts, *ranges, record.verifier_key, record.note, record.reason])


def read(connection: Connection) -> list[tuple[datetime, Record]]:
    """All of them, oldest first, and when each was written."""
    return [
        (at, Record(kind, before, leaves, events, _taken(blocks), [_taken(each) for each in lost], *rest))
        for at, kind, before, leaves, events, blocks, lost, *rest in connection.execute(_ALL)
    ]


def told(record: Record) -> list[str]:
    """What was done, in sentences."""
    if record.kind == BEGUN:
        return [f"Began to put back leaves {record.leaves_before} to {record.leaves - 1} from the publication."]
    said = []
    if record.kind == NEW_LOG:
        said.append(
            f"The log {record.verifier_key} ended, with checkpoints of at most {record.leaves} leaves here, and a new "
            f"one began with its {record.leaves_before} leaves; {record.events} events more were saved. "
            f"Why: {record.reason}"
        )
    elif record.leaves > record.leaves_before:
        said.append(
            f"Put back leaves {record.leaves_before} to {record.leaves - 1} of the published log; {record.events} of "
            "their events were not in the database."
        )
    if record.blocks:
        said.append(f"Wrote off blocks {record.blocks[0]} to {record.blocks[-1]}: leased, and not known any more.")
    return said + _lost(record.lost)


def _lost(ranges: Sequence[range]) -> list[str]:
    if not ranges:
        return []
    shown = ", ".join(f"{each[0]} to {each[-1]}" for each in ranges[:_MOST])
    more = f" and {len(ranges) - _MOST} ranges more" if len(ranges) > _MOST else ""
    most = sum(map(len, ranges))
    lost = f"At most {most} numbers may have been answered and are lost; none of them comes again"
    return [f"{lost}: serials {shown}{more}."]


def _given(numbers: range) -> Int8Range:
    return Int8Range(numbers.start, numbers.stop)  # PostgreSQL takes [5, 5) for empty


def _taken(found: Int8Range) -> range:
    return range(found.lower or 0, found.upper or 0)
