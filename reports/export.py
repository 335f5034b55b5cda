"""Counts of any number, read as they are needed, and all of one moment."""

from collections.abc import Iterator
from typing import Any, Final, Self

from core.replica import connection
from reports import counted

_BATCH: Final = 1000


class Export:
    """What a statement of reports.counted finds, read batch by batch; leaving the block lets go of the rest.

    PostgreSQL keeps the answer (WITH HOLD), on disk where it is large, so that no transaction stays open for as long as
    a slow client reads: it would keep the rows of tree_state, rewritten at each tick, from being cleared away.

    Attributes:
        size: the leaves of the tree that are counted.
    """

    def __init__(self, statement: str, parameters: dict[str, Any]) -> None:
        """Count, and read the first rows; raises as ``reports.counted.ask`` does."""
        self._cursor = connection().chunked_cursor()
        try:
            with counted.known_zone():
                self._cursor.execute(statement, parameters)
            found = counted.checked(self._cursor.fetchmany(_BATCH))
        except BaseException:
            self._cursor.close()
            raise
        self.size = found.size
        self._first = found.rows

    def close(self) -> None:
        """Let go of what is not read."""
        self._cursor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[list[tuple[Any, ...]]]:
        batch = self._first
        while batch:
            yield batch
            batch = [row[2:] for row in self._cursor.fetchmany(_BATCH)]
