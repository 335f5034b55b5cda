"""Every column that the migrated database has is declared in core/privacy.py, and nothing else is."""

from collections import defaultdict
from collections.abc import Iterator

import psycopg
import pytest

from core.privacy import COLUMNS
from tests.plugin import Database
from tests.support.database.rows import Session


@pytest.fixture(scope="module")
def superuser(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        yield session


def stored(session: Session) -> dict[str, set[str]]:
    """The columns of all relations of the schema public: tables with a model or without, partitions, views."""
    found: dict[str, set[str]] = defaultdict(set)
    for table, column in session.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        # Which leaves materialised views out.
        " UNION SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relnamespace = 'public'::regnamespace AND relkind = 'm' AND attnum > 0"
    ):
        found[table].add(column)
    return dict(found)


def test_every_stored_column_is_declared_and_every_declared_one_is_stored(superuser: Session) -> None:
    assert stored(superuser) == {table: set(columns) for table, columns in COLUMNS.items()}


def test_nothing_is_stored_in_another_schema(superuser: Session) -> None:
    schemas = superuser.execute(
        "SELECT DISTINCT table_schema FROM information_schema.tables"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    assert set(schemas) == {("public",)}


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE issuance_event ADD COLUMN customer_name text",
        "CREATE TABLE customer (id uuid)",
        "CREATE VIEW customer AS SELECT 'x' AS name",
        "CREATE MATERIALIZED VIEW customer AS SELECT 'x' AS name",
        "ALTER TABLE api_key RENAME COLUMN name TO label",
    ],
)
def test_a_column_that_nobody_declared_is_noticed(superuser: Session, statement: str) -> None:
    with superuser.transaction(force_rollback=True):
        superuser.execute(statement)
        assert stored(superuser) != {table: set(columns) for table, columns in COLUMNS.items()}
