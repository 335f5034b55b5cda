"""What a service's database has and its publication has not: lost, if the database were destroyed now."""

import time
from datetime import UTC, datetime
from typing import Final

import psycopg
from django.db import DatabaseError, connection

from core.env import Env
from ledger import guard, log, runtime
from reports.console import state

LOOKS: Final = 20
PAUSE: Final = 0.1
"""Seconds between two looks."""


def told(env: Env, url: str) -> str:
    """A sentence: what would be lost if the service's database were destroyed now, at the worst of some moments."""
    found = []
    for _ in range(LOOKS):
        seen = look(env, url)
        if seen is None:
            return "The service's database can't be asked, so nobody can say what it would lose."
        found.append(seen)
        time.sleep(PAUSE)
    numbers, seconds = max(each[0] for each in found), max(each[1] for each in found)
    many = f"{numbers} at most" if numbers < state.MOST_WAITING else f"{state.MOST_WAITING} or more"
    return (
        f"If the service's database were destroyed now, and nothing else: numbers of the last {seconds:.2f} s are not "
        f"published, {many} (the worst of {len(found)} looks in {LOOKS * PAUSE:g} s). They would be lost."
    )


def look(env: Env, url: str) -> tuple[int, float] | None:
    """What would be lost if the service's database were destroyed now, and all but its disk stayed.

    Returns the numbers that are not published, and the age of the oldest in seconds; None if the database is away.
    The checkpoint is read first, so what is published meanwhile counts as lost.
    """
    found = guard.published(runtime.place(env), runtime.verifier(env))
    published = 0 if found is None else found[1].size
    try:
        now = datetime.now(UTC)
        stands = state.log()
        ages = [float(stands.oldest)] if stands.oldest is not None else []
        if stands.size > published:
            with psycopg.connect(url) as session:
                leaves = log.read_leaves(session, published, stands.size)
            ages += [now.timestamp() - min(leaf.requested_at for leaf in leaves) / 1e6]
    except (DatabaseError, psycopg.Error):
        return None
    finally:
        connection.close()
    return max(0, stands.size - published) + stands.waiting, max(ages, default=0.0)
