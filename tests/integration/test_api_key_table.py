"""A key that was given out stays as it is: it can be revoked, for good, and its last use noted; nothing else."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege, NotNullViolation, ObjectNotInPrerequisiteState

from core.databases import APPLICATION_ROLE
from tests.plugin import Database
from tests.support.database.rows import Session

INSERT = """
    INSERT INTO api_key (id, created_at, expires_at, revoked_at, bound, digest, name, scopes) VALUES
        (1, '2026-01-01Z', '2030-01-01Z', NULL, false, sha256('1'), 'in use', '{issue,audit}'),
        (2, '2026-01-01Z', NULL, '2026-02-01Z', true, sha256('2'), 'revoked', '{reports}')"""
IN_USE, REVOKED = "WHERE id = 1", "WHERE id = 2"
ALLOWED = {
    "a use is noted": f"UPDATE api_key SET last_used_at = now() {IN_USE}",
    "a use of a revoked one": f"UPDATE api_key SET last_used_at = now() {REVOKED}",
    "it is revoked": f"UPDATE api_key SET revoked_at = now() {IN_USE}",
    "it is revoked and its use noted": f"UPDATE api_key SET revoked_at = now(), last_used_at = now() {IN_USE}",
    "nothing changes": f"UPDATE api_key SET revoked_at = revoked_at {REVOKED}",
}
NEVER = {
    "it is good again": f"UPDATE api_key SET revoked_at = NULL {REVOKED}",
    "it was revoked later": f"UPDATE api_key SET revoked_at = '2026-03-01Z' {REVOKED}",
    "it was revoked earlier": f"UPDATE api_key SET revoked_at = '2026-01-02Z' {REVOKED}",
    "it is good again while its use is noted": f"UPDATE api_key SET revoked_at = NULL, last_used_at = now() {REVOKED}",
}
OTHER_COLUMNS = {
    "another id": f"UPDATE api_key SET id = 3 {IN_USE}",
    "made at another time": f"UPDATE api_key SET created_at = now() {IN_USE}",
    "good for longer": f"UPDATE api_key SET expires_at = '2040-01-01Z' {IN_USE}",
    "good for ever": f"UPDATE api_key SET expires_at = NULL {IN_USE}",
    "good until a day": f"UPDATE api_key SET expires_at = now() {REVOKED}",
    "bound": f"UPDATE api_key SET bound = true {IN_USE}",
    "free": f"UPDATE api_key SET bound = false {REVOKED}",
    "another key": f"UPDATE api_key SET digest = sha256('3') {IN_USE}",
    "another name": f"UPDATE api_key SET name = 'mine' {IN_USE}",
    "more scopes": f"UPDATE api_key SET scopes = scopes || 'operate'::text {IN_USE}",
    "fewer scopes": f"UPDATE api_key SET scopes = '{{issue}}' {IN_USE}",
    "scopes in another order": f"UPDATE api_key SET scopes = '{{audit,issue}}' {IN_USE}",
    "more scopes while its use is noted": (f"UPDATE api_key SET scopes = '{{operate}}', last_used_at = now() {IN_USE}"),
}
VALUES = {
    "id": "3",
    "bound": "false",
    "digest": "sha256('3')",
    "name": "'another'",
    "scopes": "'{issue}'",
}
BAD_ROWS = {
    "id 0": ("id", "0", "id_is_exact_in_json"),
    "an id that JSON can't hold": ("id", "1::bigint << 53", "id_is_exact_in_json"),
    "a short digest": ("digest", "substr(sha256('3'), 2)", "digest_is_sha256"),
    "a long digest": ("digest", "sha256('3') || 'x'", "digest_is_sha256"),
    "no name": ("name", "''", "name_is_short"),
    "a long name": ("name", "repeat('é', 101)", "name_is_short"),
    "no scope": ("scopes", "'{}'", "scopes_are_known"),
    "a scope that there is not": ("scopes", "'{issue,everything}'", "scopes_are_known"),
    "a scope in capitals": ("scopes", "'{ISSUE}'", "scopes_are_known"),
    "a scope that is null": ("scopes", "'{issue,NULL}'", "scopes_are_known"),
    "a table of scopes": ("scopes", "'{{issue},{audit}}'", "scopes_are_known"),
}


@pytest.fixture(scope="module")
def superuser(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(INSERT)
        yield session


@pytest.fixture(scope="module")
def application(database: Database, superuser: Session) -> Iterator[Session]:
    """As the service works: its login, which has taken the role on."""
    assert not superuser.closed
    with psycopg.connect(database.url, autocommit=True) as session:
        session.execute(f"SET ROLE {APPLICATION_ROLE}")
        yield session


def keys(session: Session) -> list[tuple[str]]:
    return session.execute("SELECT each::text FROM api_key AS each ORDER BY id").fetchall()


@pytest.mark.parametrize("change", ALLOWED)
def test_the_application_notes_a_use_and_revokes(application: Session, change: str) -> None:
    with application.transaction(force_rollback=True):
        assert application.execute(ALLOWED[change]).rowcount == 1


@pytest.mark.parametrize("change", NEVER)
def test_the_application_does_not_undo_a_revocation(application: Session, change: str) -> None:
    before = keys(application)
    with pytest.raises(ObjectNotInPrerequisiteState, match=r"UPDATE on public\.api_key is refused"):
        application.execute(NEVER[change])
    assert keys(application) == before


@pytest.mark.parametrize("change", OTHER_COLUMNS)
def test_the_application_may_not_change_anything_else_of_a_key(application: Session, change: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        application.execute(OTHER_COLUMNS[change])


@pytest.mark.parametrize("replication_role", ["origin", "local", "replica"])
@pytest.mark.parametrize("change", [*NEVER, *OTHER_COLUMNS])
def test_a_superuser_may_not_either(superuser: Session, change: str, replication_role: str) -> None:
    before = keys(superuser)
    superuser.execute(f"SET session_replication_role = {replication_role}")
    try:
        with pytest.raises(ObjectNotInPrerequisiteState, match=r"UPDATE on public\.api_key is refused"):
            superuser.execute((NEVER | OTHER_COLUMNS)[change])
    finally:
        superuser.execute("RESET session_replication_role")
    assert keys(superuser) == before


def test_every_column_but_those_that_change_is_guarded(superuser: Session) -> None:
    columns = superuser.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'api_key'::regclass AND attnum > 0 AND attname <> ALL (%s)",
        [["revoked_at", "last_used_at"]],
    ).fetchall()
    tried = " ".join(OTHER_COLUMNS.values())
    assert [column for (column,) in columns if f"SET {column} = " not in tried] == []


def test_the_guards_are_always_on(superuser: Session) -> None:
    # As in test_immutable.py; of the three only the one of updates has a condition.
    guards = superuser.execute("""
        SELECT array_agg((tgtype::int, tgqual IS NULL)::text ORDER BY tgtype) FROM pg_trigger
         WHERE tgrelid = 'api_key'::regclass AND tgenabled = 'A' AND tgfoid = 'public.refuse_change'::regproc""")
    assert guards.fetchall() == [(["(11,t)", "(19,f)", "(34,t)"],)]


def insert(session: Session, **changes: str) -> None:
    values = VALUES | changes
    session.execute(f"INSERT INTO api_key ({', '.join(values)}) VALUES ({', '.join(values.values())})")


def test_the_good_row_is_taken(application: Session) -> None:
    with application.transaction(force_rollback=True):
        insert(application)
        found = application.execute("SELECT now() - created_at < '1 minute', expires_at FROM api_key WHERE id = 3")
        assert found.fetchall() == [(True, None)]


@pytest.mark.parametrize(("column", "value", "constraint"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_key_that_none_of_ours_makes_is_refused(
    application: Session, column: str, value: str, constraint: str
) -> None:
    with pytest.raises(CheckViolation) as refused, application.transaction(force_rollback=True):
        insert(application, **{column: value})
    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize("column", VALUES)
def test_a_key_lacks_nothing(application: Session, column: str) -> None:
    with pytest.raises(NotNullViolation) as refused, application.transaction(force_rollback=True):
        insert(application, **{column: "NULL"})
    assert refused.value.diag.column_name == column


def test_each_constraint_has_a_row_that_it_refuses(superuser: Session) -> None:
    constraints = superuser.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = 'api_key'::regclass"
    )
    assert {name for (name,) in constraints} == {constraint for _, _, constraint in BAD_ROWS.values()}
