"""Makes a database the coordinator of shards: it holds no events, and reads those of all shards as one table.

All of it is PostgreSQL's own. Each relation that reads need is partitioned by the serial, or by the shard where there
is no serial, and each partition is a foreign table (postgres_fdw) over the shard's relation of the same name. So a
statement that says which serials it wants asks the shards that may have them, and no other.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from core.databases import APPLICATION_ROLE, AUDITOR_ROLE
from ledger import customer_keys
from ledger.domain import customer_key
from ledger.domain.customer_key import CustomerKeyError
from ledger.domain.note import Checkpoint, NoteError, VerifierKey
from ledger.domain.serial import SHARD_CAPACITY, SHARDS
from ledger.domain.tag import KeyRing
from ledger.log import Connection

SCHEMA: Final = "shards"
"""Of the partitioned tables; it comes first on the coordinator's search path, so statements find them in it."""
BY_RANGES: Final = "by_ranges"
"""Of a second ``issuance_event``, whose sessions look at block ranges (ledger.period)."""

CONNECT_SECONDS: Final = 3
"""When this command asks the shards itself."""
STATEMENT_SECONDS: Final = 10
FETCH_SIZE: Final = 500


class Key(StrEnum):
    """What a relation is partitioned by."""

    SERIAL = "serial"
    SHARD = "shard"


RELATIONS: Final[dict[str, Key]] = {
    "issuance_event": Key.SERIAL,
    "shard_leaf": Key.SERIAL,
    "shard_sealed": Key.SERIAL,
    "shard_log": Key.SHARD,
    "shard_tile": Key.SHARD,
}
"""Those of the ledger."""

_KEPT: Final = ("api_key", "staff_user", "staff_try", "django_migrations")
"""What of the migrated tables a coordinator uses itself."""

# jit: compiling takes longer than any of these statements. The two of tracking are what the shard's views ask for.
_SESSION: Final = "-c jit=off -c tracking.shard={shard} -c tracking.report_time_zone={zone}"
_RANGES: Final = "-c enable_indexscan=off -c enable_seqscan=off -c max_parallel_workers_per_gather=0"

# async_capable: a statement over several shards waits for all of them at once, and not for one after the other.
# fetch_size: rows of one way there and back; a page of a list has 100 usually.
# parallel_commit: the end of such a statement, too, is one wait.
# keepalives: a session at a shard that vanished is noticed within a minute, and another takes its place.
# updatable, truncatable: the login may only read; this says so before a shard is asked.
_SERVER: Final = {
    "async_capable": "true",
    "fetch_size": str(FETCH_SIZE),
    "parallel_commit": "true",
    "updatable": "false",
    "truncatable": "false",
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "4",
    "application_name": "tracking-coordinator",
}
# partitionwise_aggregate: each shard counts its own, and its counts alone come over.
# statement_timeout: the one bound for a shard that does not answer at all; postgres_fdw passes over connect_timeout.
_DATABASE: Final = {
    "search_path": f"{SCHEMA}, public",
    "enable_partitionwise_aggregate": "on",
    "statement_timeout": f"'{STATEMENT_SECONDS}s'",
}

_SUPERUSER: Final = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
_ISSUED: Final = "SELECT EXISTS (SELECT FROM public.allocator) OR EXISTS (SELECT FROM public.issuance_event)"
_THEIRS: Final = """
    SELECT pg_has_role('tracking_auditor', 'USAGE'),
           has_table_privilege('public.issuance_event', 'INSERT') OR pg_has_role('tracking_owner', 'MEMBER')
           OR (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)"""
_SHARD: Final = """
    SELECT a.shard, encode(a.key_fingerprint, 'hex'), a.id::text,
           s.published_size, s.published_root, s.published_signature
      FROM public.allocator a CROSS JOIN public.tree_state s"""


class CoordinatorError(Exception):
    """The coordinator can't be made; nothing is changed, and the message says what to do."""


class Shard(NamedTuple):
    """One shard as the coordinator reaches it.

    Attributes:
        number: 0 to 31.
        url: of its database, with a login that is a member of ``tracking_auditor`` and may do nothing else.
        key: of its log.
    """

    number: int
    url: str
    key: VerifierKey


def parse(text: str) -> list[Shard]:
    """The shards that a file names: one a line as `<number> <url> <verifier key>`; `#` begins a comment.

    Raises:
        CoordinatorError: a line is not of that form, or there is none.
    """
    found: dict[int, Shard] = {}
    for place, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            number, url, key = words
            shard = Shard(_number(number), url, VerifierKey.parse(key))
            conninfo_to_dict(url)
        except (ValueError, NoteError, psycopg.ProgrammingError):
            # Without what it says: a URL holds a password.
            raise CoordinatorError(f"Line {place} is not `<0 to 31> postgresql://… <verifier key>`.") from None
        if shard.number in found or any(shard.key.name == each.key.name for each in found.values()):
            raise CoordinatorError(f"Line {place} names a shard or a log that a line before it names.")
        found[shard.number] = shard
    if not found:
        raise CoordinatorError("No shard is named. Each is a line: `<0 to 31> postgresql://… <verifier key>`.")
    return [found[number] for number in sorted(found)]


def check(shards: Sequence[Shard], fingerprint: str, ring: KeyRing) -> None:
    """Ask each shard whether it is what it is said to be, by the login that the coordinator will use.

    Args:
        shards: all of them.
        fingerprint: of the NUMBER_KEY that decodes numbers here.
        ring: the keys by which customers are found here.

    Raises:
        CoordinatorError: one is not, or its login may do more than read.
    """
    allocators: dict[str, int] = {}
    for shard in shards:
        try:
            with psycopg.connect(shard.url, connect_timeout=CONNECT_SECONDS, autocommit=True) as connection:
                allocator = _check(connection, shard, fingerprint)
                customer_key.check(ring, customer_keys.read(connection), tags=False)
        except CustomerKeyError as error:
            raise CoordinatorError(f"Shard {shard.number}: {error}") from error
        except psycopg.Error as error:
            raise CoordinatorError(f"Shard {shard.number} can't be asked: {str(error).strip()}") from error
        if allocator in allocators:
            raise CoordinatorError(f"Shards {allocators[allocator]} and {shard.number} are the same database.")
        allocators[allocator] = shard.number


def coordinate(connection: Connection, shards: Sequence[Shard], relations: Mapping[str, Key], zone: str) -> None:
    """Make the database the coordinator of these shards, and of no others, in one transaction: again after changes.

    Args:
        connection: a superuser's (postgres_fdw is for superusers to set up), to a migrated database without events.
        shards: all of them.
        relations: what is read across them, and what it is partitioned by.
        zone: whose days the reports count.

    Raises:
        CoordinatorError: this database can't be one.
        psycopg.Error: PostgreSQL refuses something; nothing is changed.
    """
    with connection.transaction():
        if _row(connection, _SUPERUSER) != (True,):
            raise CoordinatorError("DATABASE_OWNER_URL is no superuser, and postgres_fdw is for superusers to set up.")
        if _row(connection, _ISSUED) == (True,):
            raise CoordinatorError("Numbers are issued into this database. A coordinator is a database of its own.")
        _take_back(connection)
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgres_fdw SCHEMA public")
        _clear(connection)
        for schema in (SCHEMA, BY_RANGES):
            _run(connection, "CREATE SCHEMA {}", schema)
        for shard in shards:
            _reach(connection, shard, zone)
            _import(connection, shard, relations)
        _keep_keys(connection, shards)
        for schema in (SCHEMA, BY_RANGES):
            for role in (APPLICATION_ROLE, AUDITOR_ROLE):
                _run(connection, "GRANT USAGE ON SCHEMA {} TO {}", schema, role)
                _run(connection, "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}", schema, role)
        for name, value in _DATABASE.items():
            _run(connection, f"ALTER DATABASE {{}} SET {name} = {value}", connection.info.dbname)


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number < SHARDS:
        raise ValueError
    return number


def _check(connection: Connection, shard: Shard, fingerprint: str) -> str:
    """Ask one shard; returns its allocator's id."""
    reads, writes = _row(connection, _THEIRS)
    login = connection.info.user
    if writes or not reads:
        raise CoordinatorError(
            f"The login {login} of shard {shard.number} {'may write' if writes else 'may not read'} there. Let the "
            f"coordinator have its own, made by: CREATE ROLE <login> LOGIN PASSWORD '…' IN ROLE {AUDITOR_ROLE};"
        )
    row = connection.execute(_SHARD).fetchone()
    if row is None:
        raise CoordinatorError(f"Shard {shard.number} has no allocator yet. Run `manage.py init_allocator` there.")
    number, key, allocator, size, root, signature = row
    if number != shard.number:
        raise CoordinatorError(f"The database that is named as shard {shard.number} is shard {number}.")
    if key != fingerprint:
        raise CoordinatorError(f"Shard {shard.number} issues under another NUMBER_KEY than the one set here.")
    try:
        if signature is not None:
            shard.key.verify(Checkpoint(shard.key.name, size, root).text, signature)
    except NoteError as error:
        raise CoordinatorError(f"The log of shard {shard.number} is not signed by {shard.key.name}: {error}") from error
    return str(allocator)


def _take_back(connection: Connection) -> None:
    """Nobody may issue, seal or count here; and a read that goes past the shards is an error, not an empty answer."""
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
    ).fetchall()
    for (table,) in tables:
        if table not in _KEPT:
            revoke = "REVOKE ALL ON public.{} FROM tracking_app, tracking_sealer, tracking_reporter, tracking_auditor"
            _run(connection, revoke, table)


def _clear(connection: Connection) -> None:
    """Remove what an earlier call has made."""
    for schema in (SCHEMA, BY_RANGES):
        _run(connection, "DROP SCHEMA IF EXISTS {} CASCADE", schema)
    servers = connection.execute("SELECT srvname FROM pg_foreign_server WHERE srvname LIKE 'shard\\_%'").fetchall()
    for (server,) in servers:
        _run(connection, "DROP SERVER {} CASCADE", server)
        _run(connection, "DROP SCHEMA IF EXISTS {} CASCADE", server)


def _reach(connection: Connection, shard: Shard, zone: str) -> None:
    """The two servers of a shard, and who logs in there as whom. Passwords then stand in this database's catalogue."""
    given = {name: str(value) for name, value in conninfo_to_dict(shard.url).items() if value is not None}
    login: dict[str, str] = {name: given.pop(name) for name in ("user", "password") if name in given}
    if "password" not in login:
        # PostgreSQL lets nobody but a superuser go by a way that asks for no password, unless a superuser says so.
        login["password_required"] = "false"  # noqa: S105  # whether one is
    session = f"{given.pop('options', '')} {_SESSION.format(shard=shard.number, zone=zone)}".strip()
    for server, options in ((server_of(shard.number), session), (_ranges_of(shard.number), f"{session} {_RANGES}")):
        create = sql.SQL("CREATE SERVER {} FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({})")
        connection.execute(create.format(sql.Identifier(server), _options(_SERVER | given | {"options": options})))
        for role in (APPLICATION_ROLE, AUDITOR_ROLE, None):
            user = sql.SQL("CURRENT_USER") if role is None else sql.Identifier(role)
            mapping = sql.SQL("CREATE USER MAPPING FOR {} SERVER {} OPTIONS ({})")
            connection.execute(mapping.format(user, sql.Identifier(server), _options(login)))


def _import(connection: Connection, shard: Shard, relations: Mapping[str, Key]) -> None:
    """Make the shard's foreign tables partitions, each in a schema of the shard's, with the shard's columns."""
    server = server_of(shard.number)
    parts = [(server, relation, SCHEMA, key) for relation, key in relations.items()]
    parts.append((_ranges_of(shard.number), "issuance_event", BY_RANGES, Key.SERIAL))
    for schema in dict.fromkeys(part[0] for part in parts):
        names = sql.SQL(", ").join(sql.Identifier(relation) for place, relation, _, _ in parts if place == schema)
        _run(connection, "CREATE SCHEMA {}", schema)
        command = sql.SQL("IMPORT FOREIGN SCHEMA public LIMIT TO ({}) FROM SERVER {} INTO {}")
        connection.execute(command.format(names, sql.Identifier(schema), sql.Identifier(schema)))
    first = shard.number * SHARD_CAPACITY
    bounds = {
        Key.SERIAL: (sql.SQL("RANGE (serial)"), f"FROM ({first}) TO ({first + SHARD_CAPACITY})"),
        Key.SHARD: (sql.SQL("LIST (shard)"), f"IN ({shard.number})"),
    }
    for schema, relation, parent, key in parts:
        whole, part = sql.Identifier(parent, relation), sql.Identifier(schema, relation)
        by, values = bounds[key]
        create = sql.SQL("CREATE TABLE IF NOT EXISTS {} (LIKE {}) PARTITION BY {}")
        connection.execute(create.format(whole, part, by))
        if relation == "issuance_event":
            # How much there is, the shard is asked: else it is taken for little, and a page of a list is sorted here.
            # Not of the others: counts are then made here, since what waits to be rolled up is underrated; and a
            # statement that is planned once would ask all shards for that, also those that are down.
            _run(connection, "ALTER FOREIGN TABLE {}.{} OPTIONS (ADD use_remote_estimate 'true')", schema, relation)
        attach = sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES {}")
        connection.execute(attach.format(whole, part, sql.SQL(values)))


def _keep_keys(connection: Connection, shards: Sequence[Shard]) -> None:
    """The one table of the coordinator's own: which log is whose."""
    connection.execute(
        f"CREATE TABLE {SCHEMA}.log_key (shard smallint PRIMARY KEY, verifier_key text NOT NULL)".encode()
    )
    for shard in shards:
        insert = f"INSERT INTO {SCHEMA}.log_key VALUES (%s, %s)".encode()  # noqa: S608  # a constant
        connection.execute(insert, [shard.number, str(shard.key)])


def server_of(shard: int) -> str:
    """The name of the foreign server, and of the schema of its tables."""
    return f"shard_{shard}"


def _ranges_of(shard: int) -> str:
    return f"shard_{shard}_by_ranges"


def _options(options: Mapping[str, str]) -> sql.Composed:
    pairs = (sql.SQL("{} {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in options.items())
    return sql.SQL(", ").join(pairs)


def _run(connection: Connection, command: str, *names: str) -> None:
    connection.execute(sql.SQL(command).format(*map(sql.Identifier, names)))


def _row(connection: Connection, query: str) -> tuple[object, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None  # noqa: S101  # a SELECT without FROM
    return tuple(row)
