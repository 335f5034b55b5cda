"""The tables are as the models read them, and refuse rows that no writer of ours makes."""

from collections.abc import Iterator

import psycopg
import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Model
from psycopg.errors import CheckViolation, ForeignKeyViolation, NotNullViolation, UniqueViolation

from tests.plugin import Database
from tests.support.database.rows import BORN, INSERTS, KEYLESS, TABLES, Session, contents

MODELS = {
    model._meta.db_table: model
    for app in ("keys", "staff", "ledger", "issuance")
    for model in apps.get_app_config(app).get_models()
}

GOOD_EVENT = {
    "serial": "1",
    "order_created_at": "now()",
    "requested_at": "now()",
    "principal": "NULL",
    "customer_key_id": "1",
    "weight_band": "0",
    "request_id": "gen_random_uuid()",
    "customer_tag": "decode(repeat('ab', 32), 'hex')",
    "number": "'3K9M7QX2PZ4MYIDT'",
    "origin": "'MY'",
    "destination": "'ID'",
}
BAD_EVENTS = {
    "a number in small letters": ("number", "'3k9m7qx2pz4MYIDT'", "number_format"),
    "a number whose first digit is too high for 53 bits": ("number", "'8K9M7QX2PZ4MYIDT'", "number_format"),
    "a letter that Crockford leaves out": ("number", "'3K9M7QX2PZUMYIDT'", "number_format"),
    "a number of 15 characters": ("number", "'3K9M7QX2PZ4MYID'", "number_format"),
    "a number of 17 characters": ("number", "'3K9M7QX2PZ4MYIDTT'", "number_format"),
    "a line feed after the number": ("number", "E'3K9M7QX2PZ4MYIDT\\n'", "number_format"),
    "another origin": ("origin", "'SG'", "number_names_its_route"),
    "another destination": ("destination", "'SG'", "number_names_its_route"),
    "a negative serial": ("serial", "-1", "serial_has_41_bits"),
    "a serial of 42 bits": ("serial", "1::bigint << 41", "serial_has_41_bits"),
    "a weight band too high": ("weight_band", "11", "weight_band_is_known"),
    "a weight band too low": ("weight_band", "-1", "weight_band_is_known"),
    "a short tag": ("customer_tag", "decode(repeat('ab', 31), 'hex')", "customer_tag_is_sha256"),
    "a long tag": ("customer_tag", "decode(repeat('ab', 33), 'hex')", "customer_tag_is_sha256"),
    "customer key 0": ("customer_key_id", "0", "customer_key_id_is_positive"),
    "an API key that JSON can't hold": ("principal", "1::bigint << 53", "principal_is_exact_in_json"),
    "API key 0": ("principal", "0", "principal_is_exact_in_json"),
}
REPORT = "INSERT INTO daily_report (size, total, day, root, signature, digest, document) VALUES"
ACCOUNTED = "leased, issued, burned, held, end_block, closed_issued, wrong, open_blocks, faults"
ACCOUNT = f"INSERT INTO number_account ({ACCOUNTED}) VALUES"
CORRECTION = "INSERT INTO daily_correction (first_leaf, end_leaf, total, day, digest, document) VALUES"
RECOVERY = "INSERT INTO recovery (kind, leaves_before, leaves, events, blocks, lost, verifier_key) VALUES"
BAD_ROWS = {
    "a block of a 42-bit serial": (
        "INSERT INTO number_block (id, writer) VALUES (1::bigint << 31, 1)",
        "block_has_31_bits",
    ),
    "a negative block": ("INSERT INTO number_block (id, writer) VALUES (-1, 1)", "block_has_31_bits"),
    "a short claim": (
        "INSERT INTO idempotency_claim (tag, fingerprint, number) VALUES ('a', sha256('b'), 'n')",
        "tag_is_sha256",
    ),
    "a short fingerprint": (
        "INSERT INTO idempotency_claim (tag, fingerprint, number) VALUES (sha256('a'), 'b', 'n')",
        "fingerprint_is_sha256",
    ),
    "shard 32": (
        "INSERT INTO allocator (id, key_fingerprint, shard) VALUES (gen_random_uuid(), '', 32)",
        "shard_has_5_bits",
    ),
    "customer key 10000": (
        "INSERT INTO customer_key (key_id, fact, fingerprint) VALUES (10000, 'used', sha256('a'))",
        "key_id_has_4_digits",
    ),
    "a customer key of which nobody knows what happened": (
        "INSERT INTO customer_key (key_id, fact, fingerprint) VALUES (1, 'lent', sha256('a'))",
        "fact_is_known",
    ),
    "a short fingerprint of a customer key": (
        "INSERT INTO customer_key (key_id, fact, fingerprint) VALUES (1, 'used', 'a')",
        "fingerprint_is_sha256",
    ),
    "a cosignature of nothing": (
        "INSERT INTO cosignature VALUES (0, 1, sha256(''), repeat('a', 64)::bytea, repeat('a', 64)::bytea, 'w')",
        "cosigned_has_leaves",
    ),
    "a cosignature before there was time": (
        "INSERT INTO cosignature VALUES (1, -1, sha256(''), repeat('a', 64)::bytea, repeat('a', 64)::bytea, 'w')",
        "cosigned_at_is_a_time",
    ),
    "a cosignature of a short root": (
        "INSERT INTO cosignature VALUES (1, 1, 'a', repeat('a', 64)::bytea, repeat('a', 64)::bytea, 'w')",
        "cosigned_root_is_sha256",
    ),
    "a cosignature without its time in place": (
        "INSERT INTO cosignature VALUES (1, 1, sha256(''), repeat('a', 64)::bytea, repeat('a', 72)::bytea, 'w')",
        "cosignatures_are_ed25519",
    ),
    "a witness that failed more often than it was asked": (
        "INSERT INTO witness (witness, asked, failed) VALUES ('w', 1, 2)",
        "failed_of_asked",
    ),
    "a witness that knows less than nothing": (
        "INSERT INTO witness (witness, size) VALUES ('w', -1)",
        "witness_knows_a_size",
    ),
    "a part without leaves": (
        "INSERT INTO rollup_part (first_leaf, end_leaf, time_zone) VALUES (7, 7, 'UTC')",
        "part_has_leaves",
    ),
    "a count of nothing": (
        "INSERT INTO daily_total (count, day, weight_band, origin, destination) VALUES (0, now(), 0, 'MY', 'ID')",
        "total_counts_something",
    ),
    "a customer's count of nothing": (
        "INSERT INTO daily_usage VALUES (0, now(), 0, sha256('a'), 'MY', 'ID')",
        "usage_counts_something",
    ),
    "leaves that were counted by no zone": ("UPDATE rollup_state SET leaves = 1", "counted_days_have_a_zone"),
    "a position before the first leaf": (
        "UPDATE rollup_state SET leaves = -1, time_zone = 'a'",
        "position_is_a_size",
    ),
    "a position beside the one": ("INSERT INTO rollup_state (singleton) VALUES (false)", "there_is_one_position"),
    "a report of more than there is": (
        f"{REPORT} (1, 2, now(), sha256(''), decode(repeat('34', 64), 'hex'), sha256('a'), 'a')",
        "report_counts_leaves",
    ),
    "a report that nobody signed": (
        f"{REPORT} (1, 1, now(), sha256(''), NULL, sha256('a'), 'a')",
        "report_is_signed",
    ),
    "a report whose hash is another's": (
        f"{REPORT} (1, 1, now(), sha256(''), decode(repeat('34', 64), 'hex'), sha256('a'), 'b')",
        "report_digest_is_sha256",
    ),
    "a correction by nothing": (
        f"{CORRECTION} (1, 2, 0, now(), sha256('a'), 'a')",
        "correction_counts_leaves",
    ),
    "a correction whose hash is another's": (
        f"{CORRECTION} (1, 2, 1, now(), sha256('a'), 'b')",
        "correction_digest_is_sha256",
    ),
    "a check of leaves backwards": (
        "INSERT INTO ledger_check (first_leaf, end_leaf, faults) VALUES (2, 1, '{}')",
        "check_has_a_range",
    ),
    "a new log without a reason": (
        f"{RECOVERY} ('new log', 0, 0, 0, 'empty', '{{}}', 'k')",
        "new_log_has_a_reason",
    ),
    "an account that does not add up": (
        f"{ACCOUNT} (1024, 1, 1022, 0, 1, 1, 0, '{{}}', '{{}}')",
        "account_adds_up",
    ),
    "an account of more burned than there is": (
        f"{ACCOUNT} (1024, 1025, -1, 0, 1, 1, 0, '{{}}', '{{}}')",
        "account_adds_up",
    ),
    "an account with more closed than issued": (
        f"{ACCOUNT} (1024, 1, 1023, 0, 1, 2, 0, '{{}}', '{{}}')",
        "closed_is_a_part",
    ),
    "an account that does not say what is wrong": (
        f"{ACCOUNT} (1024, 1, 1023, 0, 1, 1, 1, '{{}}', '{{}}')",
        "what_is_wrong_is_said",
    ),
    "an allocator beside the one": (
        "INSERT INTO allocator (id, key_fingerprint, shard, singleton) VALUES (gen_random_uuid(), '', 0, false)",
        "there_is_one_allocator",
    ),
}


@pytest.fixture(scope="module")
def session(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        yield session


def insert_event(session: Session, **changes: str) -> None:
    values = GOOD_EVENT | changes
    session.execute(f"INSERT INTO issuance_event ({', '.join(values)}) VALUES ({', '.join(values.values())})")


@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_model_has_the_columns_of_its_table(model: type[Model]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull, collname, atthasdef
                 FROM pg_attribute LEFT JOIN pg_collation c ON c.oid = attcollation AND collname <> 'default'
                WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum""",
            [model._meta.db_table],
        )
        columns = cursor.fetchall()
    assert columns == [
        (
            field.column,
            field.db_type(connection),
            field.null,
            getattr(field, "db_collation", None),
            field.has_db_default(),
        )
        for field in model._meta.concrete_fields
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_table_has_the_indexes_of_its_model_and_no_more(model: type[Model]) -> None:
    table = model._meta.db_table
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    expected = {index.name: (index.fields, index.suffix or "idx") for index in model._meta.indexes}
    for field in model._meta.concrete_fields:
        if field.unique:
            expected[f"{table}_{'pkey' if field.primary_key else f'{field.column}_key'}"] = ([field.column], None)
    assert expected == {name: (each["columns"], each.get("type")) for name, each in found.items() if not each["check"]}


def test_the_good_event_is_taken(session: Session) -> None:
    with session.transaction(force_rollback=True):
        insert_event(session)
        assert session.execute("SELECT number FROM issuance_event").fetchall() == [("3K9M7QX2PZ4MYIDT",)]


@pytest.mark.parametrize(("column", "value", "constraint"), BAD_EVENTS.values(), ids=BAD_EVENTS)
def test_a_bad_event_is_refused(session: Session, column: str, value: str, constraint: str) -> None:
    with pytest.raises(CheckViolation) as refused, session.transaction(force_rollback=True):
        insert_event(session, **{column: value})
    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize("column", [column for column in GOOD_EVENT if column != "principal"])
def test_an_event_lacks_nothing_but_the_api_key(session: Session, column: str) -> None:
    with pytest.raises(NotNullViolation) as refused, session.transaction(force_rollback=True):
        insert_event(session, **{column: "NULL"})
    assert refused.value.diag.column_name == column


@pytest.mark.parametrize(("statement", "constraint"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_of_another_table_is_refused(session: Session, statement: str, constraint: str) -> None:
    with pytest.raises(CheckViolation) as refused, session.transaction(force_rollback=True):
        session.execute(statement)
    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize("table", [table for table in TABLES if table not in {*BORN, *KEYLESS}])
def test_nothing_is_written_twice(session: Session, table: str) -> None:
    with session.transaction(force_rollback=True):
        if table == "daily_correction":
            session.execute(INSERTS["daily_report"])
        session.execute(INSERTS[table])
        with pytest.raises(UniqueViolation), session.transaction():
            session.execute(INSERTS[table])


def test_a_serial_has_one_number(session: Session) -> None:
    with session.transaction(force_rollback=True):
        insert_event(session)
        with pytest.raises(UniqueViolation) as refused, session.transaction():
            insert_event(session, number="'4K9M7QX2PZ4MYIDT'")
    assert refused.value.diag.constraint_name == "issuance_event_serial_key"


def test_numbers_sort_as_bytes_wherever_the_cluster_was_made(session: Session) -> None:
    collations = session.execute("""
        SELECT DISTINCT collname FROM pg_attribute JOIN pg_collation c ON c.oid = attcollation
         WHERE attrelid IN ('issuance_event'::regclass, 'idempotency_claim'::regclass) AND attnum > 0""")
    assert set(collations) == {("C",)}


def test_a_new_log_is_one_tree_without_leaves(session: Session) -> None:
    nothing = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")  # RFC 6962, section 2.1
    tree = session.execute("""
        SELECT size, published_size, closed_below, root, published_root, published_signature, edge FROM tree_state""")
    assert tree.fetchall() == [(0, 0, 0, nothing, nothing, None, [])]
    assert {table for table, rows in contents(session).items() if rows} == set(BORN)


def test_a_day_without_a_report_is_not_corrected(session: Session) -> None:
    with pytest.raises(ForeignKeyViolation), session.transaction(force_rollback=True):
        session.execute(INSERTS["daily_correction"])
