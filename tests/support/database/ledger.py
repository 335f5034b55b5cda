"""What the ledger holds, read as the superuser."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg


@contextlib.contextmanager
def reading(url: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """A session in autocommit, so that each statement sees what is committed by then."""
    with psycopg.connect(url, autocommit=True) as session:
        yield session


def numbers(url: str) -> list[str]:
    """Every number in the ledger, in serial order."""
    with reading(url) as session:
        return [row[0] for row in session.execute("SELECT number FROM issuance_event ORDER BY serial")]


def count(url: str) -> int:
    """How many events there are."""
    with reading(url) as session:
        row = session.execute("SELECT count(*) FROM issuance_event").fetchone()
        assert row is not None
        return int(row[0])
