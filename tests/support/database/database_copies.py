"""Backups within one cluster: a copy of a database, at which nobody works meanwhile."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from core.embedded import postgres
from tests.plugin import CLUSTER, Database

_END = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s"


def duplicate(database: Database, copy: Database) -> None:
    """Make a copy of a database; sessions are ended, also those that were closed and take their time."""
    with psycopg.connect(CLUSTER.server.url(), autocommit=True) as session:
        session.execute(_END, [database.name])
    CLUSTER.copy(database.name, copy.name)


@contextmanager
def backup(database: Database) -> Iterator[Database]:
    """A copy of a database as it stands, with the fence and the publication of the original; sessions are ended."""
    copy = CLUSTER.database(f"{database.name}_restored")
    duplicate(database, copy)
    yield dataclasses.replace(copy, fence=database.fence, publication=database.publication)
    postgres.drop_database(CLUSTER.server.url(), copy.name)
