"""The first checkpoint over a leaf: the right one whatever lies between, and cheap among many."""

import json
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from ledger import checkpoints
from ledger.domain.tiles import growing
from tests.plugin import Database

# Gaps on both sides of each window's end, each followed by checkpoints of one leaf each.
GAPS = (1, 2, 2_047, 2_048, 2_049, 16_383, 16_384, 16_385, 131_071, 131_072, 131_073, 400_000)
APART = 20_000
MANY = APART * (len(GAPS) + 1) - 1
type Session = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def session(database: Database) -> Iterator[Session]:
    """A log with a long history of checkpoints."""
    with psycopg.connect(database.owner_url, autocommit=True) as made:
        made.execute(
            f"""INSERT INTO checkpoint SELECT sum(gap) OVER (ORDER BY n), decode(repeat('34', 64), 'hex')
                  FROM (SELECT n, CASE WHEN n %% {APART} = 0 THEN (%s::bigint[])[n / {APART}] ELSE 1 END AS gap
                          FROM generate_series(1, {MANY}) AS n) AS each""",
            [list(GAPS)],
        )
        made.execute("VACUUM (ANALYZE) checkpoint")
        made.execute(
            "UPDATE tree_state SET (size, root, published_size, published_root, published_signature) ="
            " (SELECT max(size), sha256('root'), max(size), sha256('root'), decode(repeat('34', 64), 'hex')"
            " FROM checkpoint)"
        )
        yield made


def all_sizes(session: Session) -> list[int]:
    return [size for (size,) in session.execute("SELECT size FROM checkpoint ORDER BY size")]


def test_it_is_the_first_one_whatever_lies_between(session: Session) -> None:
    sizes = all_sizes(session)
    starts = [size for size, after in pairwise([0, *sizes]) if after - size > 1]
    assert len(starts) == len(GAPS) - 1
    around = {leaf for start in starts for leaf in (start - 1, start, start + 1, start + 5_000)}
    for leaf in sorted(around | {0, sizes[-1] - 2, sizes[-1] - 1}):
        size, _, begin, hashes = find(session, leaf)
        assert size == sizes[bisect_right(sizes, leaf)], leaf
        assert bisect_right(sizes, begin) == bisect_right(sizes, leaf), "it is the first from there on"
        assert begin in {sizes[bisect_right(sizes, leaf) - 1], leaf - checkpoints._WINDOWS[0], 0}
        assert len(hashes) == len(growing(size))


def find(session: Session, leaf: int) -> tuple[Any, ...]:
    row = session.execute(checkpoints._SEALED, [leaf]).fetchone()
    assert row is not None
    return row


def test_it_costs_some_pages_of_the_thousands_that_there_are(session: Session) -> None:
    sizes = all_sizes(session)
    ((pages,),) = session.execute("SELECT pg_relation_size('checkpoint') / 8192").fetchall()
    for at in (1, 100, APART // 2, len(sizes) // 2, len(sizes) - 2):
        assert touched(session, sizes[at] - 1) < 200 < pages / 15, f"the leaf before checkpoint {at}"
    for start, after in pairwise(sizes):
        if 1 < after - start <= checkpoints._WINDOWS[-1]:
            assert touched(session, start) < 450, f"a gap of {after - start} leaves: a window of a thousand and more"


def touched(session: Session, leaf: int) -> int:
    """The pages that PostgreSQL looks at to find the checkpoint of a leaf."""
    ((plan,),) = session.execute(b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + checkpoints._SEALED, [leaf]).fetchall()
    top = (plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]
    assert "Seq Scan" not in {
        node["Node Type"] for node in nodes(top) if node.get("Relation Name") == "checkpoint" and node["Actual Loops"]
    }
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)
