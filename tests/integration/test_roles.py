"""What each role may do, tried by logins that are members of it and of nothing else."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege

from core.databases import APPLICATION_ROLE
from tests.plugin import Database
from tests.support.rows import INSERTS, KEYS, TABLES, Session, insert_all

READERS = ("sealer", "auditor")
EVERYBODY = ("application", "its login", *READERS)
"""`application`: as the service works, a login that has taken the role on. `its login`: the same without that."""

ON_A_TABLE = {
    "UPDATE": "UPDATE public.{table} SET {key} = {key}",
    "DELETE": "DELETE FROM public.{table}",
    "TRUNCATE": "TRUNCATE public.{table}",
    "MERGE that updates": (
        "MERGE INTO public.{table} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN UPDATE SET {key} = t.{key}"
    ),
    "MERGE that deletes": "MERGE INTO public.{table} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
    "INSERT … ON CONFLICT DO UPDATE": "{insert} ON CONFLICT ({key}) DO UPDATE SET {key} = excluded.{key}",
    "SELECT … FOR UPDATE": "SELECT * FROM public.{table} FOR UPDATE",
    "SELECT … FOR KEY SHARE": "SELECT * FROM public.{table} FOR KEY SHARE",
    "LOCK against inserts": "LOCK TABLE public.{table} IN SHARE MODE",
    "ALTER": "ALTER TABLE public.{table} ADD COLUMN extra text",
    "RENAME": "ALTER TABLE public.{table} RENAME TO other",
    "DROP": "DROP TABLE public.{table}",
    "take ownership": "ALTER TABLE public.{table} OWNER TO CURRENT_USER",
    "disable a trigger": "ALTER TABLE public.{table} DISABLE TRIGGER refuse_change",
    "disable all triggers": "ALTER TABLE public.{table} DISABLE TRIGGER ALL",
    "make a trigger ordinary": "ALTER TABLE public.{table} ENABLE TRIGGER refuse_truncate",
    "drop a trigger": "DROP TRIGGER refuse_change ON public.{table}",
    "drop a constraint": "ALTER TABLE public.{table} DROP CONSTRAINT {table}_pkey",
    "add a trigger": (
        "CREATE TRIGGER mine BEFORE INSERT ON public.{table} EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    ),
    "add a rule": "CREATE RULE mine AS ON INSERT TO public.{table} DO INSTEAD NOTHING",
    "add an index": "CREATE INDEX mine ON public.{table} ({key})",
    "hide rows": "ALTER TABLE public.{table} ENABLE ROW LEVEL SECURITY",
}
ON_THE_DATABASE = {
    "create a table": "CREATE TABLE public.mine ()",
    "create a view in front of a table": "CREATE VIEW public.mine AS SELECT 1",
    "create a function": "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "create a schema": "CREATE SCHEMA mine",
    "replace the refusal": (
        "CREATE OR REPLACE FUNCTION public.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
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
        for reader in READERS:
            superuser.execute(f"CREATE ROLE test_{reader} LOGIN IN ROLE tracking_{reader}")
        urls = {"superuser": database.owner_url, "application": database.url, "its login": database.url} | {
            reader: make_conninfo(database.owner_url, user=f"test_{reader}") for reader in READERS
        }
        made = {who: psycopg.connect(url, autocommit=True) for who, url in urls.items()}
        made["application"].execute(f"SET ROLE {APPLICATION_ROLE}")
        yield made
        for session in made.values():
            session.close()
        for reader in READERS:
            superuser.execute(f"DROP ROLE test_{reader}")


@pytest.mark.parametrize("attempt", ON_A_TABLE)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("who", EVERYBODY)
def test_nobody_may_change_a_table(sessions: dict[str, Session], who: str, table: str, attempt: str) -> None:
    statement = ON_A_TABLE[attempt].format(table=table, key=KEYS[table], insert=INSERTS[table])
    with pytest.raises(InsufficientPrivilege), sessions[who].transaction(force_rollback=True):
        sessions[who].execute(statement)


@pytest.mark.parametrize("attempt", ON_THE_DATABASE)
@pytest.mark.parametrize("who", EVERYBODY)
def test_nobody_may_change_the_database_or_become_its_owner(
    sessions: dict[str, Session], who: str, attempt: str
) -> None:
    with pytest.raises(InsufficientPrivilege), sessions[who].transaction(force_rollback=True):
        sessions[who].execute(ON_THE_DATABASE[attempt])


@pytest.mark.parametrize("table", TABLES)
def test_the_application_inserts_and_reads(sessions: dict[str, Session], table: str) -> None:
    session = sessions["application"]
    with session.transaction(force_rollback=True), session.cursor() as cursor:
        # The row is there already, and DO NOTHING needs no more than INSERT and SELECT.
        cursor.execute(f"{INSERTS[table]} ON CONFLICT DO NOTHING")
        assert cursor.execute(f"SELECT count(*) FROM public.{table}").fetchone() == (1,)


def test_the_application_inserts_by_copy(sessions: dict[str, Session]) -> None:
    session = sessions["application"]
    with session.transaction(force_rollback=True), session.cursor() as cursor:
        with cursor.copy("COPY public.number_block (id, writer) FROM STDIN") as copy:
            copy.write_row((7, 42))
        assert cursor.execute("SELECT writer FROM public.number_block WHERE id = 7").fetchone() == (42,)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("who", READERS)
def test_sealer_and_auditor_read_and_do_not_insert(sessions: dict[str, Session], who: str, table: str) -> None:
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
    expected = {(f"tracking_{role}", "SELECT", False) for role in ("app", "sealer", "auditor")}
    if table in TABLES:
        expected.add(("tracking_app", "INSERT", False))
    assert set(granted) == expected


def test_everything_in_the_schema_belongs_to_the_owner_who_can_not_log_in(sessions: dict[str, Session]) -> None:
    owners = sessions["superuser"].execute("""
        SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace""")
    assert set(owners) == {("tracking_owner",)}
    roles = sessions["superuser"].execute("SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname ~ '^tracking_'")
    groups = {"tracking_owner", "tracking_app", "tracking_sealer", "tracking_auditor"}
    assert {role for role, may_log_in in roles if not may_log_in} == groups


def test_the_refusal_runs_with_a_fixed_search_path_and_only_as_a_trigger(sessions: dict[str, Session]) -> None:
    settings = sessions["superuser"].execute(
        "SELECT proconfig, proacl::text FROM pg_proc WHERE oid = 'public.refuse_change'::regproc"
    )
    assert settings.fetchone() == (["search_path=pg_catalog, pg_temp"], "{tracking_owner=X/tracking_owner}")
