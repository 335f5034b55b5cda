"""The first checkpoint over a leaf: the right one whatever lies between, and cheap among many."""

import json
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from ledger import lookup
from tests.plugin import Database

# Gaps on both sides of each window's end, each followed by checkpoints of one leaf each.
GAPS = (1, 2, 1_023, 1_024, 1_025, 16_383, 16_384, 16_385, 131_071, 131_072, 131_073, 400_000)
APART = 20_000
MANY = APART * (len(GAPS) + 1) - 1
FIND = f"""
    SELECT c.size FROM (SELECT %s::bigint AS leaf OFFSET 0) p CROSS JOIN tree_state s
      LEFT JOIN LATERAL ({lookup._FIRST_CHECKPOINT} LIMIT 1) c ON true"""

type Session = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def session(database: Database) -> Iterator[Session]:
    """A log with a long history of checkpoints; the last of them is not published, and its leaves are none's."""
    with psycopg.connect(database.owner_url, autocommit=True) as made:
        made.execute(
            f"""INSERT INTO checkpoint SELECT sum(gap) OVER (ORDER BY n), decode(repeat('34', 64), 'hex')
                  FROM (SELECT n, CASE WHEN n %% {APART} = 0 THEN (%s::bigint[])[n / {APART}] ELSE 1 END AS gap
                          FROM generate_series(1, {MANY}) AS n) AS each""",
            [list(GAPS)],
        )
        made.execute("VACUUM (ANALYZE) checkpoint")
        sizes = all_sizes(made)
        made.execute(
            "UPDATE tree_state SET size = %s, root = %s, published_size = %s, published_root = %s,"
            " published_signature = decode(repeat('34', 64), 'hex')",
            [sizes[-1], bytes(32), sizes[-2], bytes(31) + b"1"],
        )
        yield made


def all_sizes(session: Session) -> list[int]:
    return [size for (size,) in session.execute("SELECT size FROM checkpoint ORDER BY size")]


def test_it_is_the_first_one_whatever_lies_between(session: Session) -> None:
    sizes = all_sizes(session)
    published = sizes[:-1]
    starts = [size for size, after in zip([0, *sizes], sizes, strict=False) if after - size > 1]
    assert len(starts) == len(GAPS) - 1
    around = {leaf for start in starts for leaf in (start - 1, start, start + 1)}
    ends = {leaf for size in (sizes[0], *published[-3:]) for leaf in (size - 1, size)}
    for leaf in sorted(around | ends | {0}):
        (found,) = session.execute(FIND, [leaf]).fetchone() or (0,)
        at = bisect_right(published, leaf)
        assert found == (published[at] if at < len(published) else None), leaf
    assert session.execute(FIND, [None]).fetchone() == (None,), "an event that is no leaf has none"


def test_it_costs_some_pages_of_the_thousands_that_there_are(session: Session) -> None:
    sizes = all_sizes(session)[:-1]
    ((pages,),) = session.execute("SELECT pg_relation_size('checkpoint') / 8192").fetchall()
    for at in (1, 100, APART // 2, len(sizes) // 2, len(sizes) - 2):
        assert touched(session, sizes[at] - 1) < 60 < pages / 50, f"the leaf before checkpoint {at}"
    for start, after in pairwise(sizes):
        if 1 < after - start <= lookup._WINDOWS[-1]:
            assert touched(session, start) < 350, f"a gap of {after - start} leaves: a window of a thousand and more"


def touched(session: Session, leaf: int) -> int:
    """The pages that PostgreSQL looks at to find the checkpoint of a leaf."""
    ((plan,),) = session.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {FIND}", [leaf]).fetchall()
    top = (plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]
    assert "Seq Scan" not in {
        node["Node Type"] for node in nodes(top) if node.get("Relation Name") == "checkpoint" and node["Actual Loops"]
    }
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)
