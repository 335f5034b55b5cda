"""Migrations that run a readable SQL file: the schema is written once, by hand, in SQL."""

from collections.abc import Sequence
from pathlib import Path

from django.db.migrations import RunSQL
from django.db.migrations.operations.base import Operation


def run(file: Path, *, state: Sequence[Operation] = ()) -> RunSQL:
    """Run one SQL file; ``state`` tells Django which models it makes.

    A file that has run anywhere is frozen; a change is a new file and a new migration.
    There is no way back: undoing a migration of the ledger would drop what it promised to keep.
    """
    return RunSQL(file.read_text(encoding="utf-8"), state_operations=list(state))
