"""The tables of the log move forward only, and refuse rows that no sealer of ours makes."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import CheckViolation, ObjectNotInPrerequisiteState, UniqueViolation

from core.databases import OWNER_ROLE, SEALER_ROLE
from tests.plugin import Database
from tests.support.database.rows import GROWING, INSERTS, LOG, Session, contents, insert_all

SIGNATURE = "decode(repeat('56', 64), 'hex')"
GROWN = (
    f"""UPDATE tree_state SET size = 3, root = sha256('3'), edge = ARRAY[sha256('0')], closed_below = 1,
               published_size = 2, published_root = sha256('2'), published_signature = {SIGNATURE}""",
    "INSERT INTO block_cursor (block, last_serial, closed) VALUES (7, 7300, true)",
    "INSERT INTO run (first_leaf, first_serial, last_serial, leaves) VALUES (1, 7168, 7300, 2)",
)
"""A tree of three leaves, two of them published: one is serial 1, two are in block 7, which is closed."""

STEPS = {
    "nothing new": "UPDATE tree_state SET size = size, root = root, edge = edge, closed_below = closed_below",
    "another leaf": "UPDATE tree_state SET size = 4, root = sha256('4'), edge = ARRAY[sha256('x')]",
    "another closed block": "UPDATE tree_state SET closed_below = 2",
    "publishing all": (
        "UPDATE tree_state SET published_size = 3, published_root = root, published_signature = sha512('3')"
    ),
    "a cursor ahead": "UPDATE block_cursor SET last_serial = 1023, closed = true WHERE block = 0",
    "a cursor that closes where it stands": "UPDATE block_cursor SET closed = true WHERE block = 0",
    "a cursor ahead by an upsert": """
        INSERT INTO block_cursor (block, last_serial, closed) VALUES (0, 2, false)
            ON CONFLICT (block) DO UPDATE SET last_serial = excluded.last_serial, closed = excluded.closed""",
    "a run that goes on": "UPDATE run SET last_serial = 5, leaves = 5 WHERE first_serial = 1",
    "a checkpoint of the same tree twice": "INSERT INTO checkpoint SELECT * FROM checkpoint",
}
TREE = LOG[:5]
"""Without what witnesses say of it; tests/integration/test_tables.py has that."""
NEW_LOG = """
    UPDATE tree_state SET log_begin = published_size, published_size = 0, published_root = sha256(''),
                          published_signature = NULL"""
SETBACKS = {
    "fewer leaves": "UPDATE tree_state SET size = 2, root = published_root",
    "fewer leaves by an upsert": """
        INSERT INTO tree_state DEFAULT VALUES
            ON CONFLICT ON CONSTRAINT tree_state_pkey DO UPDATE SET size = 2, root = tree_state.published_root""",
    "fewer leaves by a MERGE": """
        MERGE INTO tree_state t USING (SELECT 2 AS size) AS s ON true
            WHEN MATCHED THEN UPDATE SET size = s.size, root = t.published_root""",
    "fewer published": "UPDATE tree_state SET published_size = 1",
    "nothing published": (
        "UPDATE tree_state SET published_size = 0, published_root = sha256(''), published_signature = NULL"
    ),
    "a new log that begins before the old one's end": """
        UPDATE tree_state SET log_begin = 1, published_size = 0, published_root = sha256(''),
                              published_signature = NULL""",
    "a new log that has published what the old one has": "UPDATE tree_state SET log_begin = 2",
    "an old log again": "UPDATE tree_state SET log_begin = -1",
    "a closed block that is open again": "UPDATE tree_state SET closed_below = 0",
    "another root of the same leaves": "UPDATE tree_state SET root = sha256('x')",
    "other growing tiles of the same leaves": "UPDATE tree_state SET edge = ARRAY[sha256('x')]",
    "no growing tiles": "UPDATE tree_state SET edge = '{}'",
    "another published root": "UPDATE tree_state SET published_root = sha256('x')",
    "another signature": "UPDATE tree_state SET published_signature = sha512('x')",
    "publishing all with a root that is not the tree's": (
        "UPDATE tree_state SET published_size = 3, published_root = sha256('x'), published_signature = sha512('x')"
    ),
    "a cursor that goes back": "UPDATE block_cursor SET last_serial = 0 WHERE block = 0",
    "a cursor of another block": "UPDATE block_cursor SET block = 1, last_serial = 1024 WHERE block = 0",
    "a block that opens again": "UPDATE block_cursor SET closed = false WHERE block = 7",
    "a closed block that goes on": "UPDATE block_cursor SET last_serial = 7301 WHERE block = 7",
    "a closed block that goes on by an upsert": """
        INSERT INTO block_cursor (block, last_serial, closed) VALUES (7, 7301, true)
            ON CONFLICT (block) DO UPDATE SET last_serial = excluded.last_serial""",
    "a run of other leaves": "UPDATE run SET first_leaf = 9 WHERE first_serial = 7168",
    "a run of other serials": "UPDATE run SET first_serial = 7169 WHERE first_serial = 7168",
    "a shorter run": "UPDATE run SET last_serial = 7299, leaves = 1 WHERE first_serial = 7168",
    "a leaf more where no serial is added": "UPDATE run SET leaves = 3 WHERE first_serial = 7168",
    "a serial more that is no leaf": "UPDATE run SET last_serial = 7301 WHERE first_serial = 7168",
}
RUN = "INSERT INTO run (first_leaf, first_serial, last_serial, leaves) VALUES"
CURSOR = "INSERT INTO block_cursor (block, last_serial, closed) VALUES"
TILE = "INSERT INTO tile (level, position, hashes) VALUES"
BAD_ROWS = {
    "a tree beside the one": ("INSERT INTO tree_state (singleton) VALUES (false)", "there_is_one_tree"),
    "more published than committed": ("UPDATE tree_state SET published_size = 4", "published_is_committed"),
    "a checkpoint of a new log that is one of the old log, too": (
        "UPDATE tree_state SET log_begin = published_size",
        "published_is_of_this_log",
    ),
    "a tree of less than nothing": (
        "UPDATE tree_state SET size = -1, published_size = -1",
        "published_is_committed",
    ),
    "a published tree without a signature": (
        "UPDATE tree_state SET published_signature = NULL",
        "published_is_signed",
    ),
    "a signature of nothing": ("UPDATE tree_state SET published_size = 0", "published_is_signed"),
    "a root that is no hash": ("UPDATE tree_state SET root = 'x'", "roots_are_sha256"),
    "a root that is longer than a hash": ("UPDATE tree_state SET root = root || 'x'", "roots_are_sha256"),
    "a published root that is no hash": ("UPDATE tree_state SET published_root = 'x'", "roots_are_sha256"),
    "a published root that is longer than a hash": (
        "UPDATE tree_state SET published_root = published_root || 'x'",
        "roots_are_sha256",
    ),
    "a short published signature": (
        "UPDATE tree_state SET published_signature = substr(published_signature, 2)",
        "published_signature_is_ed25519",
    ),
    "a long published signature": (
        "UPDATE tree_state SET published_signature = published_signature || 'x'",
        "published_signature_is_ed25519",
    ),
    "more closed blocks than there are": (
        "UPDATE tree_state SET closed_below = (1::bigint << 31) + 1",
        "closed_blocks_have_31_bits",
    ),
    "closed blocks below the first": ("UPDATE tree_state SET closed_below = -1", "closed_blocks_have_31_bits"),
    "a cursor behind its block": (f"{CURSOR} (9, 9 * 1024 - 2, false)", "cursor_is_in_its_block"),
    "a cursor beyond its block": (f"{CURSOR} (9, 10 * 1024, false)", "cursor_is_in_its_block"),
    "a cursor of a negative block": (f"{CURSOR} (-1, -1024, false)", "block_has_31_bits"),
    "a cursor of a block of 42-bit serials": (
        f"{CURSOR} (1::bigint << 31, 1::bigint << 41, false)",
        "block_has_31_bits",
    ),
    "a run before the first leaf": (f"{RUN} (-1, 9216, 9216, 1)", "run_has_a_place"),
    "a run before the first serial": (f"{RUN} (9, -1, -1, 1)", "run_has_a_place"),
    "a run of 42-bit serials": (f"{RUN} (9, 1::bigint << 41, 1::bigint << 41, 1)", "run_has_a_place"),
    "a run through two blocks": (f"{RUN} (9, 9 * 1024 + 1023, 10 * 1024, 2)", "run_is_in_one_block"),
    "a run of no leaves": (f"{RUN} (9, 9216, 9216, 0)", "run_has_room_for_its_leaves"),
    "a run of more leaves than serials": (f"{RUN} (9, 9216, 9217, 3)", "run_has_room_for_its_leaves"),
    "a run that ends before it begins": (f"{RUN} (9, 9217, 9216, 1)", "run_has_room_for_its_leaves"),
    "a tile of 255 hashes": (f"{TILE} (0, 1, decode(repeat('00', 8160), 'hex'))", "tile_is_full"),
    "a tile of 257 hashes": (f"{TILE} (0, 1, decode(repeat('00', 8224), 'hex'))", "tile_is_full"),
    "a bundle among the tiles": (f"{TILE} (-1, 1, decode(repeat('00', 8192), 'hex'))", "tile_level_is_known"),
    "a level that tlog-tiles has no path for": (
        f"{TILE} (64, 1, decode(repeat('00', 8192), 'hex'))",
        "tile_level_is_known",
    ),
    "a tile left of the first": (f"{TILE} (0, -1, decode(repeat('00', 8192), 'hex'))", "tile_level_is_known"),
    "a checkpoint of nothing": (f"INSERT INTO checkpoint VALUES (0, {SIGNATURE})", "checkpoint_has_leaves"),
    "a short signature": (f"INSERT INTO checkpoint VALUES (9, substr({SIGNATURE}, 2))", "signature_is_ed25519"),
    "a long signature": (f"INSERT INTO checkpoint VALUES (9, {SIGNATURE} || 'x')", "signature_is_ed25519"),
}


@pytest.fixture(scope="module")
def superuser(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        insert_all(session)
        for statement in GROWN:
            session.execute(statement)
        yield session


@pytest.mark.parametrize("step", STEPS)
def test_the_sealer_moves_the_log_forward(superuser: Session, step: str) -> None:
    with superuser.transaction(force_rollback=True):
        superuser.execute(f"SET LOCAL ROLE {SEALER_ROLE}")
        assert superuser.execute(STEPS[step]).rowcount == 1


def test_a_new_log_is_begun_by_the_owner_and_not_by_the_sealer(superuser: Session) -> None:
    with superuser.transaction(force_rollback=True):
        superuser.execute(f"SET LOCAL ROLE {SEALER_ROLE}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), superuser.transaction():
            superuser.execute(NEW_LOG)
        superuser.execute(f"SET LOCAL ROLE {OWNER_ROLE}")
        assert superuser.execute(NEW_LOG).rowcount == 1


@pytest.mark.parametrize("replication_role", ["origin", "local", "replica"])
@pytest.mark.parametrize("setback", SETBACKS)
def test_a_superuser_does_not_set_the_log_back(superuser: Session, setback: str, replication_role: str) -> None:
    superuser.execute(f"SET session_replication_role = {replication_role}")
    try:
        assert_refused(superuser, setback)
    finally:
        superuser.execute("RESET session_replication_role")


@pytest.mark.parametrize("setback", SETBACKS)
def test_the_owner_does_not_set_the_log_back(superuser: Session, setback: str) -> None:
    superuser.execute("SET ROLE tracking_owner")
    try:
        assert_refused(superuser, setback)
    finally:
        superuser.execute("RESET ROLE")


def assert_refused(session: Session, setback: str) -> None:
    before = contents(session)
    with pytest.raises(ObjectNotInPrerequisiteState, match="is refused: the log only grows"):
        session.execute(SETBACKS[setback])
    assert contents(session) == before


def test_the_refusal_says_what_was_refused_and_what_to_do(superuser: Session) -> None:
    with pytest.raises(ObjectNotInPrerequisiteState) as refused:
        superuser.execute(SETBACKS["fewer leaves"])
    assert refused.value.diag.message_primary == (
        "UPDATE on public.tree_state is refused: the log only grows, and what it says of its leaves stays."
    )
    assert "verify_ledger" in (refused.value.diag.message_hint or "")


def test_a_table_that_grows_has_its_three_triggers_always_on(superuser: Session) -> None:
    # As in test_immutable.py; of the three only the one of updates has a condition.
    guards = superuser.execute("""
        SELECT tgrelid::regclass::text, array_agg((tgtype::int, tgqual IS NULL)::text ORDER BY tgtype)
          FROM pg_trigger WHERE tgenabled = 'A' AND tgfoid = 'public.refuse_shrinking'::regproc GROUP BY 1""")
    expected = {table: ["(11,t)", "(19,f)", "(34,t)"] for table in GROWING if table in TREE}
    # How a witness answers is no part of the log: it changes, and its row stays.
    assert dict(guards.fetchall()) == expected | {"witness": ["(11,t)", "(34,t)"]}


def test_there_is_one_tree(superuser: Session) -> None:
    with pytest.raises(UniqueViolation):
        superuser.execute(INSERTS["tree_state"])
    assert superuser.execute("SELECT count(*) FROM tree_state").fetchone() == (1,)


@pytest.mark.parametrize(("statement", "constraint"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_of_the_log_is_refused(superuser: Session, statement: str, constraint: str) -> None:
    with superuser.transaction(force_rollback=True):
        for table in GROWING:  # the constraint is enough by itself
            superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        with pytest.raises(CheckViolation) as refused:
            superuser.execute(statement)
    assert refused.value.diag.constraint_name == constraint


def test_each_constraint_of_the_log_has_a_row_that_it_refuses(superuser: Session) -> None:
    constraints = superuser.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = ANY(%s::regclass[])", [list(TREE)]
    )
    assert {name for (name,) in constraints} == {constraint for _, constraint in BAD_ROWS.values()}


def test_the_log_lacks_nothing_but_a_signature_of_nothing(superuser: Session) -> None:
    lacking = superuser.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = ANY(%s::regclass[]) AND attnum > 0 AND NOT attnotnull",
        [list(TREE)],
    )
    assert lacking.fetchall() == [("published_signature",)]


def test_the_log_has_these_indexes_and_no_others(superuser: Session) -> None:
    # Each event pays for them: benchmarks/README.md, storage an event.
    indexes = superuser.execute(
        "SELECT regexp_replace(indexdef, '^CREATE (.*)INDEX .* ON public.', '\\1') FROM pg_indexes"
        " WHERE tablename = ANY(%s) ORDER BY indexname",
        [list(TREE)],
    )
    assert [definition for (definition,) in indexes] == [
        "UNIQUE block_cursor USING btree (block)",
        "checkpoint USING brin (size) WITH (pages_per_range='16', autosummarize='on')",
        "UNIQUE run USING btree (first_leaf)",
        "UNIQUE run USING btree (first_serial)",
        'UNIQUE tile USING btree (level, "position")',
        "UNIQUE tree_state USING btree (singleton)",
    ]
