"""What is leased of a shard and how fast, by some dozens of look-ups however many blocks there are."""

from collections.abc import Sequence
from typing import Any, Final

from issuance.domain.capacity import MONTH, Space
from ledger.domain.serial import BLOCK_SIZE, BLOCKS_PER_SHARD, first_block

# Blocks are leased in the order of their ids, so the first of the last days is found by halving: 26 look-ups by the
# primary key, where an index by time would cost each lease something. Where ids are missing it ends all the same, since
# each step leaves less: the half below `middle`, or what lies beyond the block that was found.
STATEMENT: Final = f"""
    WITH RECURSIVE ends AS (
        SELECT min(id) AS low, max(id) + 1 AS high FROM number_block WHERE id BETWEEN %(first)s AND %(last)s),
    search AS (
        SELECT span, low, high FROM ends CROSS JOIN (VALUES (1), ({MONTH})) AS spans (span)
         UNION ALL
        SELECT span, CASE WHEN b.recent THEN low ELSE b.id + 1 END, CASE WHEN b.recent THEN middle ELSE high END
          FROM search
         CROSS JOIN LATERAL (SELECT low + (high - low) / 2 AS middle) AS half
         CROSS JOIN LATERAL (
               SELECT id, leased_at > clock_timestamp() - span * interval '1 day' AS recent FROM number_block
                WHERE id >= middle ORDER BY id LIMIT 1) AS b
         WHERE low < high)
    SELECT e.high - %(first)s,
           e.high - (SELECT min(high) FROM search WHERE span = 1),
           e.high - (SELECT min(high) FROM search WHERE span = {MONTH}),
           extract(epoch FROM clock_timestamp() - (SELECT leased_at FROM number_block WHERE id = e.low))::float8
      FROM ends e"""  # noqa: S608  # constants
"""Blocks up to the highest, those of the last day and month, and the age of the first; null where none is leased."""


def given(shard: int) -> dict[str, int]:
    """The parameters of STATEMENT."""
    first = first_block(shard)
    return {"first": first, "last": first + BLOCKS_PER_SHARD - 1}


def space(row: Sequence[Any] | None) -> Space:
    """What the row of STATEMENT says."""
    if row is None or row[0] is None:
        return Space(0, 0, 0, 0.0)
    *blocks, age = row
    used, last_day, last_month = (count * BLOCK_SIZE for count in blocks)
    return Space(used, last_day, last_month, max(0.0, age))
