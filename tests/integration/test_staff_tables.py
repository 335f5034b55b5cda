"""The tables of the staff: who may do what with them, and what is refused to everybody."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege, ObjectNotInPrerequisiteState, UniqueViolation

from core.databases import APPLICATION_ROLE
from tests.plugin import Database
from tests.support.database.rows import Session

INSERT = "INSERT INTO staff_user (one_time, name, password) VALUES (true, 'ada', 'a hash')"
TRY = "INSERT INTO staff_try (bucket, tries, tried_at) VALUES (7, 1, now())"


@pytest.fixture(scope="module")
def superuser(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        session.execute(INSERT)
        session.execute(TRY)
        yield session


@pytest.fixture(scope="module")
def application(database: Database, superuser: Session) -> Iterator[Session]:
    assert superuser
    with psycopg.connect(database.url, autocommit=True) as session:
        session.execute(f"SET ROLE {APPLICATION_ROLE}")
        yield session


@pytest.mark.parametrize("table", ["staff_user", "staff_try"])
def test_nobody_but_the_application_has_to_do_with_staff(superuser: Session, table: str) -> None:
    granted = superuser.execute(
        "SELECT grantee::regrole::text, privilege_type FROM pg_class, aclexplode(relacl)"
        " WHERE oid = %s::regclass AND grantee <> relowner",
        [table],
    )
    assert set(granted) == {("tracking_app", "INSERT"), ("tracking_app", "SELECT")}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM staff_user",
        "TRUNCATE staff_user",
        "UPDATE staff_user SET name = 'eve'",
        "UPDATE staff_user SET created_at = now()",
        "DELETE FROM staff_try",
        "UPDATE staff_try SET bucket = 8",
        "ALTER TABLE staff_user DISABLE TRIGGER ALL",
        "DROP TABLE staff_try",
    ],
)
def test_the_application_may_not(application: Session, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege), application.transaction(force_rollback=True):
        application.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM staff_user",
        "TRUNCATE staff_user",
        "UPDATE staff_user SET name = 'eve'",
        "UPDATE staff_user SET created_at = now()",
        "UPDATE staff_user SET epoch = -1",
        "SET LOCAL session_replication_role = replica; DELETE FROM staff_user",
    ],
)
def test_a_superuser_s_slip_is_refused_too(superuser: Session, statement: str) -> None:
    with pytest.raises(ObjectNotInPrerequisiteState), superuser.transaction(force_rollback=True):
        superuser.execute(statement)


def test_the_application_does_what_logins_need(application: Session) -> None:
    with application.transaction(force_rollback=True):
        application.execute("INSERT INTO staff_user (one_time, name, password) VALUES (true, 'grace', 'h')")
        application.execute("UPDATE staff_user SET epoch = epoch + 1, one_time = false, active = false, password = 'g'")
        application.execute("UPDATE staff_try SET tries = 0, tried_at = now()")


@pytest.mark.parametrize("name", ["", "Ada", "-ada", "a b", "a" * 65, "ada\n", "ädä"])
def test_a_name_that_is_not_plain_is_refused(application: Session, name: str) -> None:
    with pytest.raises(CheckViolation), application.transaction(force_rollback=True):
        application.execute("INSERT INTO staff_user (one_time, name, password) VALUES (true, %s, 'h')", [name])


def test_a_name_is_there_once(application: Session) -> None:
    with pytest.raises(UniqueViolation), application.transaction(force_rollback=True):
        application.execute(INSERT)


def test_of_django_s_own_tables_of_users_there_are_none(superuser: Session) -> None:
    found = superuser.execute("SELECT relname FROM pg_class WHERE relname ~ '^(auth|django)_' AND relkind = 'r'")
    assert set(found) == {("django_migrations",)}
