"""No row is ever removed, and none of an append-only table changed, whoever asks, in whatever way SQL has for it."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import ObjectNotInPrerequisiteState

from tests.plugin import Database
from tests.support.database.rows import APPEND_ONLY, COUNTS, GROWING, Session, attempts, contents, insert_all, written

STAFF = ("staff_user", "staff_try")
"""tests/integration/test_staff_tables.py has these."""
CHANGEABLE = {"django_migrations", *GROWING, *COUNTS, *STAFF}
"""The tables that are meant to change; every other one is append-only from its first migration on."""

REMOVALS = {
    "DELETE": "DELETE FROM public.{table}",
    "DELETE in a CTE": "WITH gone AS (DELETE FROM public.{table} RETURNING *) SELECT * FROM gone",
    "TRUNCATE": "TRUNCATE public.{table} CASCADE",  # else a foreign key would refuse it first
    "TRUNCATE with others": "TRUNCATE public.django_migrations, public.{table} CASCADE",
    "MERGE that deletes": "MERGE INTO public.{table} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
}
CHANGES = REMOVALS | {
    "UPDATE": "UPDATE public.{table} SET {key} = {key}",
    "UPDATE of no column's value by a join": "UPDATE public.{table} AS a SET {key} = b.{key} FROM public.{table} AS b",
    "MERGE that updates": (
        "MERGE INTO public.{table} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN UPDATE SET {key} = t.{key}"
    ),
    "INSERT … ON CONFLICT DO UPDATE": (
        "{insert} ON CONFLICT ON CONSTRAINT {table}_pkey DO UPDATE SET {key} = excluded.{key}"
    ),
}
REFUSED = [*attempts(APPEND_ONLY, CHANGES), *attempts(GROWING, REMOVALS)]


@pytest.fixture(scope="module")
def superuser(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        insert_all(session)
        yield session


@pytest.mark.parametrize(
    "session",
    [
        *(f"session_replication_role = {role}" for role in ("origin", "local", "replica")),
        "ROLE tracking_owner",  # who owns the tables
    ],
)
def test_neither_a_superuser_nor_the_owner_changes_a_row(superuser: Session, session: str) -> None:
    before = contents(superuser)
    assert all(before.values()), "there is nothing to change"
    found = {}
    superuser.execute(f"SET {session}".encode())
    for table, change in REFUSED:
        try:
            with superuser.transaction(force_rollback=True):
                superuser.execute(written(CHANGES[change], table))
                found[f"{change}: {table}"] = "done"
        except ObjectNotInPrerequisiteState as refused:
            if f"on public.{table} is refused: " not in str(refused):
                found[f"{change}: {table}"] = str(refused)
    superuser.execute("RESET ROLE")
    superuser.execute("RESET session_replication_role")
    assert found == {}
    assert contents(superuser) == before, "although it was refused"


def test_the_refusal_says_what_was_refused_and_what_to_do(superuser: Session) -> None:
    with pytest.raises(ObjectNotInPrerequisiteState) as refused:
        superuser.execute("DELETE FROM public.number_block")
    assert refused.value.diag.message_primary == (
        "DELETE on public.number_block is refused: its rows are written once, and never changed or removed."
    )
    assert refused.value.diag.message_hint == "Record a new fact instead."


def test_every_table_but_those_meant_to_change_has_both_triggers_always_on(superuser: Session) -> None:
    # tgenabled 'A' is ALWAYS. tgtype: row 1, before 2, insert 4, delete 8, update 16, truncate 32 (pg_trigger.h).
    guarded = superuser.execute("""
        SELECT c.relname, array_agg(t.tgtype::int ORDER BY t.tgtype) FILTER (
                   WHERE t.tgenabled = 'A' AND t.tgfoid = 'public.refuse_change'::regproc AND t.tgqual IS NULL)
          FROM pg_class c LEFT JOIN pg_trigger t ON t.tgrelid = c.oid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
         GROUP BY c.relname""").fetchall()
    assert {table for table, _ in guarded} == {*APPEND_ONLY, *CHANGEABLE}
    both = [1 | 2 | 8 | 16, 2 | 32]
    assert {table: types for table, types in guarded if table not in CHANGEABLE} == dict.fromkeys(APPEND_ONLY, both)
