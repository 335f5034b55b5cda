"""Which writers live: each has an advisory lock on its id for as long as its session does."""

from typing import Final

# A session keeps its locks until its last commit is visible, so a writer whose lock is free has nothing more to show.
LOCKED: Final = """
    SELECT classid::bigint << 32 | objid::bigint FROM pg_locks
     WHERE locktype = 'advisory' AND objsubid = 1 AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
"""Their ids; whatever a snapshot that is taken after it shows of the others is all that they will ever have issued."""
