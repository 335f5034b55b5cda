"""What each role may do, tried by logins that are members of it and of nothing else."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege

from core.databases import APPLICATION_ROLE
from tests.plugin import Database
from tests.support.database.rows import (
    COUNTS,
    INSERTS,
    ISSUING,
    KEYLESS,
    LOG,
    REPORTS,
    TABLES,
    Session,
    attempts,
    insert_all,
    written,
)

MEMBERS = ("sealer", "auditor", "reporter")
EVERYBODY = ("application", "its login", *MEMBERS)
"""`application`: as the service works, a login that has taken the role on. `its login`: the same without that."""

APPENDED = tuple(table for table in LOG if table != "tree_state")
"""The tables that the sealer inserts into."""
COUNTED = tuple(table for table in REPORTS if table != "rollup_state")
"""The tables that the reporter inserts into."""
PARTS = ("rollup_part", "rollup_part_usage")
"""Those that it deletes from."""
INSERTED = {
    "application": ISSUING,
    "its login": ISSUING,
    "sealer": APPENDED,
    "auditor": (),
    "reporter": COUNTED,
}
KEPT_FROM_REPORTS = ("idempotency_claim", "api_key", "customer_key")
UNREAD = {
    "application": PARTS,
    "its login": PARTS,
    "sealer": (*REPORTS, "customer_key"),
    "auditor": PARTS,
    "reporter": KEPT_FROM_REPORTS,
}
"""The tables that each has no reason to read."""
USED: dict[str, tuple[str, ...]] = {"api_key": ("revoked_at", "last_used_at")}
UPDATES: dict[str, dict[str, tuple[str, ...]]] = {
    "application": USED,
    "its login": USED,
    "sealer": {
        "tree_state": (
            *("size", "published_size", "closed_below", "root", "published_root", "published_signature", "edge"),
        ),
        "block_cursor": ("last_serial", "closed"),
        "run": ("last_serial", "leaves"),
        "witness": ("asked_at", "answered_at", "asked", "failed", "size", "trouble", "alarm"),
    },
    "auditor": {},
    "reporter": {"rollup_state": ("leaves", "time_zone"), "daily_usage": ("count",), "daily_total": ("count",)},
}
"""The columns that each changes: as keys are used, as the log grows, as it is counted."""
STAFF = {"staff_user": ("epoch", "one_time", "active", "password"), "staff_try": ("tries", "tried_at")}
"""Those of the console's logins; tests/integration/test_staff_tables.py has the rest."""

ON_A_TABLE = {
    "UPDATE": "UPDATE public.{table} SET {key} = {key}",
    "DELETE": "DELETE FROM public.{table}",
    "TRUNCATE": "TRUNCATE public.{table}",
    "MERGE that updates": (
        "MERGE INTO public.{table} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN UPDATE SET {key} = t.{key}"
    ),
    "MERGE that deletes": "MERGE INTO public.{table} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
    "INSERT … ON CONFLICT DO UPDATE": (
        "{insert} ON CONFLICT ON CONSTRAINT {table}_pkey DO UPDATE SET {key} = excluded.{key}"
    ),
    "SELECT … FOR UPDATE": "SELECT * FROM public.{table} FOR UPDATE",
    "SELECT … FOR KEY SHARE": "SELECT * FROM public.{table} FOR KEY SHARE",
    "LOCK against inserts": "LOCK TABLE public.{table} IN SHARE MODE",
    "ALTER": "ALTER TABLE public.{table} ADD COLUMN extra text",
    "RENAME": "ALTER TABLE public.{table} RENAME TO other",
    "DROP": "DROP TABLE public.{table}",
    "take ownership": "ALTER TABLE public.{table} OWNER TO CURRENT_USER",
    "disable a trigger": "ALTER TABLE public.{table} DISABLE TRIGGER refuse_truncate",
    "disable all triggers": "ALTER TABLE public.{table} DISABLE TRIGGER ALL",
    "make a trigger ordinary": "ALTER TABLE public.{table} ENABLE TRIGGER refuse_truncate",
    "drop a trigger": "DROP TRIGGER refuse_truncate ON public.{table}",
    "drop a constraint": "ALTER TABLE public.{table} DROP CONSTRAINT {table}_pkey",
    "add a trigger": (
        "CREATE TRIGGER mine BEFORE INSERT ON public.{table} EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    ),
    "add a rule": "CREATE RULE mine AS ON INSERT TO public.{table} DO INSTEAD NOTHING",
    "add an index": "CREATE INDEX mine ON public.{table} ({key})",
    "hide rows": "ALTER TABLE public.{table} ENABLE ROW LEVEL SECURITY",
}
DELETING = ("DELETE", "MERGE that deletes", "LOCK against inserts")
ON_THE_DATABASE = {
    "create a table": "CREATE TABLE public.mine ()",
    "create a view in front of a table": "CREATE VIEW public.mine AS SELECT 1",
    "create a function": "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "create a schema": "CREATE SCHEMA mine",
    "replace the refusal": (
        "CREATE OR REPLACE FUNCTION public.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    ),
    "replace the log's refusal": (
        "CREATE OR REPLACE FUNCTION public.refuse_shrinking() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NEW; END'"
    ),
    "drop the refusal": "DROP FUNCTION public.refuse_change() CASCADE",
    "drop the schema": "DROP SCHEMA public CASCADE",
    "drop what the owner owns": "DROP OWNED BY tracking_owner",
    "inherit what the owner owns": "REASSIGN OWNED BY tracking_owner TO CURRENT_USER",
    "become the owner": "SET ROLE tracking_owner",
    "log in as the owner": "SET SESSION AUTHORIZATION tracking_owner",
    "join the owner": "GRANT tracking_owner TO CURRENT_USER",
    "let the owner log in": "ALTER ROLE tracking_owner LOGIN",
    "make a role": "CREATE ROLE mine",
    "replay as a replica": "SET session_replication_role = replica",
    "forget a migration": "DELETE FROM public.django_migrations",
    "claim a migration": "INSERT INTO public.django_migrations (app, name, applied) VALUES ('ledger', '9999', now())",
    "run a program": "COPY public.number_block TO PROGRAM 'true'",
}


@pytest.fixture(scope="module")
def sessions(database: Database) -> Iterator[dict[str, Session]]:
    """A session of each, and the superuser's."""
    with psycopg.connect(database.owner_url, autocommit=True) as superuser:
        insert_all(superuser)
        for member in MEMBERS:
            superuser.execute(f"CREATE ROLE test_{member} LOGIN IN ROLE tracking_{member}")
        urls = {"superuser": database.owner_url, "application": database.url, "its login": database.url} | {
            member: make_conninfo(database.owner_url, user=f"test_{member}") for member in MEMBERS
        }
        made = {who: psycopg.connect(url, autocommit=True) for who, url in urls.items()}
        made["application"].execute(f"SET ROLE {APPLICATION_ROLE}")
        yield made
        for session in made.values():
            session.close()
        for member in MEMBERS:
            superuser.execute(f"DROP ROLE test_{member}")


def permitted(session: Session, statements: dict[str, str]) -> dict[str, str]:
    """Of statements by their names those that are not refused for lack of a privilege, and what came of each."""
    found = {}
    for name, statement in statements.items():
        try:
            with session.transaction(force_rollback=True):
                session.execute(statement.encode())
        except InsufficientPrivilege:
            continue
        except psycopg.Error as error:
            found[name] = repr(error)
        else:
            found[name] = "done"
    return found


@pytest.mark.parametrize("who", EVERYBODY)
def test_nobody_may_change_a_table(sessions: dict[str, Session], who: str) -> None:
    statements = {
        f"{attempt}: {table}": written(ON_A_TABLE[attempt], table)
        for table, attempt in attempts(TABLES, ON_A_TABLE)
        # Whoever updates a row locks it, and whoever deletes rows may lock the table.
        if not (table in UPDATES[who] and attempt.startswith("SELECT"))
        and not (who == "reporter" and table in PARTS and attempt in DELETING)
        and not (table in COUNTS and attempt == "drop a trigger")  # they have none
    }
    assert len(statements) > 20 * len(TABLES)
    assert permitted(sessions[who], statements) == {}


@pytest.mark.parametrize("who", EVERYBODY)
def test_nobody_may_change_the_database_or_become_its_owner(sessions: dict[str, Session], who: str) -> None:
    assert permitted(sessions[who], ON_THE_DATABASE) == {}


@pytest.mark.parametrize("table", ISSUING)
def test_the_application_inserts_and_reads(sessions: dict[str, Session], table: str) -> None:
    assert_inserts(sessions["application"], table)


def assert_inserts(session: Session, table: str) -> None:
    with session.transaction(force_rollback=True):
        # The row is there already (without a key it then is there twice), and DO NOTHING needs only INSERT and SELECT.
        session.execute(f"{INSERTS[table]} ON CONFLICT DO NOTHING")
        rows = session.execute(f"SELECT count(*) FROM public.{table}").fetchone()
        assert rows == (2 if table in KEYLESS else 1,)


def test_the_application_inserts_by_copy(sessions: dict[str, Session]) -> None:
    session = sessions["application"]
    with session.transaction(force_rollback=True), session.cursor() as cursor:
        with cursor.copy("COPY public.number_block (id, writer) FROM STDIN") as copy:
            copy.write_row((7, 42))
        assert cursor.execute("SELECT writer FROM public.number_block WHERE id = 7").fetchone() == (42,)


@pytest.mark.parametrize("table", APPENDED)
def test_the_sealer_appends_to_the_log(sessions: dict[str, Session], table: str) -> None:
    assert_inserts(sessions["sealer"], table)


@pytest.mark.parametrize("table", COUNTED)
def test_the_reporter_writes_what_it_counted(sessions: dict[str, Session], table: str) -> None:
    assert_inserts(sessions["reporter"], table)


@pytest.mark.parametrize("table", PARTS)
def test_the_reporter_removes_parts_that_were_added(sessions: dict[str, Session], table: str) -> None:
    with sessions["reporter"].transaction(force_rollback=True):
        assert sessions["reporter"].execute(f"DELETE FROM public.{table}").rowcount == 1


@pytest.mark.parametrize(
    ("writer", "table", "column"),
    [
        (writer, table, column)
        for writer in ("sealer", "reporter")
        for table, columns in UPDATES[writer].items()
        for column in columns
    ],
)
def test_the_sealer_alone_moves_the_log_on_and_the_reporter_alone_the_counts(
    sessions: dict[str, Session], writer: str, table: str, column: str
) -> None:
    statement = f"UPDATE public.{table} SET {column} = {column}"
    for who in EVERYBODY:
        with sessions[who].transaction(force_rollback=True):
            if who == writer:
                assert sessions[who].execute(statement).rowcount == 1
            else:
                with pytest.raises(InsufficientPrivilege), sessions[who].transaction():
                    sessions[who].execute(statement)


@pytest.mark.parametrize(
    ("who", "table"), [(who, table) for who in EVERYBODY for table in TABLES if table not in INSERTED[who]]
)
def test_whoever_has_no_reason_to_insert_into_a_table_reads_it_at_most(
    sessions: dict[str, Session], who: str, table: str
) -> None:
    if table in UNREAD[who]:
        with pytest.raises(InsufficientPrivilege):
            sessions[who].execute(f"SELECT count(*) FROM public.{table}")
    else:
        assert sessions[who].execute(f"SELECT count(*) FROM public.{table}").fetchone() == (1,)
    with pytest.raises(InsufficientPrivilege):
        sessions[who].execute(INSERTS[table])
    with pytest.raises(InsufficientPrivilege), sessions[who].cursor().copy(f"COPY public.{table} FROM STDIN"):
        pass


@pytest.mark.parametrize("table", [*TABLES, "django_migrations"])
def test_the_privileges_on_a_table_are_these_and_no_others(sessions: dict[str, Session], table: str) -> None:
    granted = sessions["superuser"].execute(
        """
        SELECT grantee::regrole::text, privilege_type, is_grantable
          FROM pg_class, aclexplode(relacl) WHERE oid = %s::regclass AND grantee <> relowner""",
        [f"public.{table}"],
    )
    expected = set()
    for who in ("application", *MEMBERS):
        role = "tracking_app" if who == "application" else f"tracking_{who}"
        may = {
            "SELECT": table not in UNREAD[who],
            "INSERT": table in INSERTED[who],
            "DELETE": who == "reporter" and table in PARTS,
        }
        expected |= {(role, privilege, False) for privilege, granted_to_it in may.items() if granted_to_it}
    assert set(granted) == expected


def test_the_privileges_on_single_columns_are_these_updates_and_no_others(sessions: dict[str, Session]) -> None:
    granted = sessions["superuser"].execute("""
        SELECT relname, attname, grantee::regrole::text, privilege_type, is_grantable
          FROM pg_class c JOIN pg_attribute ON attrelid = c.oid, aclexplode(attacl)
         WHERE relnamespace = 'public'::regnamespace""")
    assert set(granted) == {
        (table, column, role, "UPDATE", False)
        for who, role in (
            *(("application", "tracking_app"), ("sealer", "tracking_sealer"), ("reporter", "tracking_reporter")),
        )
        for table, columns in (UPDATES[who] | (STAFF if who == "application" else {})).items()
        for column in columns
    }


def test_everything_in_the_schema_belongs_to_the_owner_who_can_not_log_in(sessions: dict[str, Session]) -> None:
    owners = sessions["superuser"].execute("""
        SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace""")
    assert set(owners) == {("tracking_owner",)}
    roles = sessions["superuser"].execute("SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname ~ '^tracking_'")
    groups = {"tracking_owner", "tracking_app", "tracking_sealer", "tracking_auditor", "tracking_reporter"}
    assert {role for role, may_log_in in roles if not may_log_in} == groups


def test_the_refusals_run_with_a_fixed_search_path_and_only_as_triggers(sessions: dict[str, Session]) -> None:
    functions = sessions["superuser"].execute("""
        SELECT proname, proconfig, proacl::text, prosecdef, prorettype::regtype::text
          FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname NOT LIKE 'count%' ORDER BY proname""")
    assert functions.fetchall() == [
        (name, ["search_path=pg_catalog, pg_temp"], "{tracking_owner=X/tracking_owner}", False, "trigger")
        for name in ("refuse_change", "refuse_shrinking")
    ]


def test_what_counts_for_a_coordinator_has_the_rights_of_the_auditor_who_asks(sessions: dict[str, Session]) -> None:
    functions = sessions["superuser"].execute("""
        SELECT proname, proacl::text, prosecdef, provolatile
          FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'count%' ORDER BY proname""")
    acl = "{tracking_owner=X/tracking_owner,tracking_auditor=X/tracking_owner}"
    assert functions.fetchall() == [
        (name, acl, False, "s") for name in ("count_position", "count_stretches", "count_total", "count_usage")
    ]
    for view in ("shard_leaf", "shard_log", "shard_sealed", "shard_tile", "shard_usage", "shard_total"):
        for who in set(EVERYBODY) - {"auditor"}:
            with pytest.raises(InsufficientPrivilege):
                sessions[who].execute(f"SELECT FROM {view}")
