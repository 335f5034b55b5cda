"""Migrations under the logins that operators really have: superuser, CREATEROLE, neither; and what the check says."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import DatabaseError
from django.db.migrations.exceptions import IrreversibleError
from psycopg.errors import InsufficientPrivilege

from core.embedded.server import Server
from tests.plugin import ROOT
from tests.support.database.rows import INSERTS
from tests.support.processes import commands

ROLES_FILE = ROOT / "ledger" / "sql" / "roles.sql"
GROUPS = "tracking_owner, tracking_app, tracking_sealer, tracking_auditor"
PATIENCE = 240
OWNERS = """
    SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%CREATE ROLE%'"
CATALOGUE = """
    SELECT relname, relowner, relacl::text, array_agg(tgname || ' ' || tgenabled::text ORDER BY tgname)
      FROM pg_class c LEFT JOIN pg_trigger t ON t.tgrelid = c.oid
     WHERE relnamespace = 'public'::regnamespace GROUP BY relname, relowner, relacl::text ORDER BY relname"""


@pytest.fixture(scope="module")
def new_cluster() -> Iterator[Path]:
    """The data of a PostgreSQL in which nobody has made anything yet."""
    with tempfile.TemporaryDirectory(prefix="roles-") as folder:
        with Server(Path(folder), durable=False) as server:
            data = server.data
        yield data


@pytest.fixture
def server(new_cluster: Path) -> Iterator[Server]:
    """A PostgreSQL of its own, since roles belong to the cluster: here nobody has made any yet."""
    with tempfile.TemporaryDirectory(prefix="roles-") as folder:
        shutil.copytree(new_cluster, Path(folder) / "data")
        with Server(Path(folder), durable=False) as server:
            yield server


def execute(server: Server, *statements: str, user: str = "postgres", database: str = "postgres") -> None:
    with psycopg.connect(server.url(user=user, database=database), autocommit=True) as session:
        for statement in statements:
            session.execute(statement)


def start(server: Server, command: str, *arguments: str, user: str, database: str) -> "subprocess.Popen[str]":
    url = server.url(user=user, database=database)
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), command, *arguments],
        env=os.environ | {"DATABASE_URL": url, "DATABASE_OWNER_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def manage(server: Server, command: str, *arguments: str, user: str, database: str) -> tuple[int, str]:
    """Exit code and all that one of Django's commands says."""
    url = server.url(user=user, database=database)
    try:
        done = commands.run(command, *arguments, environment={"DATABASE_URL": url, "DATABASE_OWNER_URL": url})
    except DatabaseError as error:
        return 1, str(error)
    return done.returncode, done.stdout + done.stderr


def check(server: Server, user: str, database: str) -> str:
    return manage(server, "check", "--database", "default", user=user, database=database)[1]


def assert_ledger(server: Server, user: str, database: str) -> None:
    """All of it is there, belongs to the owner, and the login can issue as the application but not change."""
    with psycopg.connect(server.url(user=user, database=database), autocommit=True) as session:
        assert set(session.execute(OWNERS)) == {("tracking_owner",)}
        session.execute("SET ROLE tracking_app")
        session.execute(INSERTS["issuance_event"])
        with pytest.raises(InsufficientPrivilege):
            session.execute("UPDATE issuance_event SET weight_band = 5")


def test_one_login_with_createrole_that_owns_the_database_is_enough_and_is_warned_about(server: Server) -> None:
    execute(server, "CREATE ROLE platform LOGIN CREATEROLE", "CREATE DATABASE shop OWNER platform")
    assert manage(server, "migrate", user="platform", database="shop")[0] == 0
    assert_ledger(server, "platform", "shop")
    warned = check(server, "platform", "shop")
    assert "core.W001" in warned
    assert "can take on the role tracking_owner, which owns the tables, and owns the database" in warned


def test_a_login_that_may_only_issue_is_not_warned_about(server: Server) -> None:
    assert "is a superuser" in migrated_and_checked(server)
    execute(server, "CREATE ROLE web LOGIN IN ROLE tracking_app")
    assert "no issues" in check(server, "web", "postgres")

    execute(server, "GRANT tracking_owner TO web WITH INHERIT FALSE, SET FALSE, ADMIN TRUE")
    assert "can take on the role tracking_owner" in check(server, "web", "postgres")

    execute(server, "REVOKE tracking_owner FROM web", "ALTER SCHEMA public OWNER TO web")
    assert "owns the database or its schema" in check(server, "web", "postgres")

    execute(server, "ALTER SCHEMA public OWNER TO pg_database_owner", "REVOKE tracking_app FROM web")
    assert "make the login a member of tracking_app" in check(server, "web", "postgres")


def migrated_and_checked(server: Server) -> str:
    assert manage(server, "migrate", user="postgres", database="postgres")[0] == 0
    return check(server, "postgres", "postgres")


def test_without_createrole_it_says_what_a_superuser_has_to_run_and_works_once_that_was_run(server: Server) -> None:
    execute(server, "CREATE ROLE plain LOGIN", "CREATE DATABASE shop OWNER plain")
    code, said = manage(server, "migrate", user="plain", database="shop")
    assert code != 0
    assert "Have a superuser run ledger/sql/roles.sql" in said

    execute(server, ROLES_FILE.read_text())
    code, said = manage(server, "migrate", user="plain", database="shop")
    assert code != 0
    advice = f"GRANT {GROUPS} TO plain WITH INHERIT TRUE, SET TRUE;"
    assert advice in said

    execute(server, advice)
    code, said = manage(server, "migrate", user="plain", database="shop")
    assert code != 0
    assert "The role tracking_reporter is missing" in said
    advice = superusers_part(said)
    assert advice.startswith("CREATE ROLE tracking_reporter NOLOGIN; GRANT tracking_reporter TO plain ")

    execute(server, advice, database="shop")
    assert manage(server, "migrate", user="plain", database="shop")[0] == 0
    assert_ledger(server, "plain", "shop")


def test_a_login_that_is_no_member_of_the_reporter_s_role_is_told_so(server: Server) -> None:
    execute(server, ROLES_FILE.read_text(), "CREATE ROLE tracking_reporter", "CREATE ROLE plain LOGIN")
    execute(server, f"GRANT {GROUPS} TO plain WITH INHERIT TRUE, SET TRUE", "CREATE DATABASE shop OWNER plain")
    code, said = manage(server, "migrate", user="plain", database="shop")
    assert code != 0
    assert "The role tracking_reporter is there, but plain is not a member of it." in said
    execute(server, superusers_part(said), database="shop")
    assert manage(server, "migrate", user="plain", database="shop")[0] == 0


def test_a_schema_that_the_reporter_may_not_use_is_refused_until_that_is_put_right(server: Server) -> None:
    execute(server, "CREATE ROLE plain LOGIN CREATEROLE", "CREATE DATABASE old")
    execute(server, ROLES_FILE.read_text(), f"GRANT {GROUPS} TO plain WITH INHERIT TRUE, SET TRUE", database="old")
    grants = "GRANT USAGE, CREATE ON SCHEMA public TO tracking_owner; GRANT USAGE ON SCHEMA public TO plain"
    execute(server, "REVOKE ALL ON SCHEMA public FROM PUBLIC", grants, database="old")
    execute(server, "GRANT USAGE ON SCHEMA public TO tracking_app, tracking_sealer, tracking_auditor", database="old")
    code, said = manage(server, "migrate", user="plain", database="old")
    assert code != 0
    assert "The role tracking_reporter may not use the schema public" in said
    execute(server, superusers_part(said), database="old")
    assert manage(server, "migrate", user="plain", database="old")[0] == 0


def superusers_part(said: str) -> str:
    """What a superuser is to run, as it was said."""
    return said.partition("Have a superuser run: ")[2].partition("\n")[0]


def test_a_schema_in_which_anybody_may_create_is_refused_until_that_is_put_right(server: Server) -> None:
    # As databases were before PostgreSQL 15, and still are where they were upgraded.
    execute(
        *(server, ROLES_FILE.read_text(), "CREATE ROLE tracking_reporter", "CREATE ROLE plain LOGIN"),
        *(f"GRANT {GROUPS}, tracking_reporter TO plain", "CREATE DATABASE old"),
    )
    execute(server, "GRANT CREATE ON SCHEMA public TO PUBLIC", database="old")
    code, said = manage(server, "migrate", user="plain", database="old")
    assert code != 0
    advice = superusers_part(said)
    assert advice.startswith("REVOKE CREATE ON SCHEMA public FROM PUBLIC;")

    execute(server, advice, database="old")
    assert manage(server, "migrate", user="plain", database="old")[0] == 0
    assert_ledger(server, "plain", "old")


def test_two_databases_of_one_cluster_migrate_at_the_same_moment(server: Server) -> None:
    names = ("one", "two")
    execute(server, *(f"CREATE DATABASE {name}" for name in names))
    with psycopg.connect(server.url(), autocommit=True) as observer, psycopg.connect(server.url()) as third:
        third.execute("CREATE ROLE tracking_owner")  # not committed yet: both find it missing, and wait
        running = [start(server, "migrate", user="postgres", database=name) for name in names]
        deadline = time.monotonic() + PATIENCE
        while observer.execute(WAITING).fetchone() != (2,):
            assert time.monotonic() < deadline, "the migrations do not meet"
            time.sleep(0.05)
    for process in running:
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said


def test_migrating_again_changes_nothing(server: Server) -> None:
    assert manage(server, "migrate", user="postgres", database="postgres")[0] == 0
    with psycopg.connect(server.url(), autocommit=True) as session:
        before = session.execute(CATALOGUE).fetchall()
        assert "No migrations to apply" in manage(server, "migrate", user="postgres", database="postgres")[1]
        session.execute(ROLES_FILE.read_bytes())
        assert session.execute(CATALOGUE).fetchall() == before


def test_no_migration_takes_the_ledger_down_again(server: Server) -> None:
    assert manage(server, "migrate", user="postgres", database="postgres")[0] == 0
    for app in ("issuance", "ledger", "reports"):
        with pytest.raises(IrreversibleError):
            manage(server, "migrate", app, "zero", user="postgres", database="postgres")
    assert_ledger(server, "postgres", "postgres")
