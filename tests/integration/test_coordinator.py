"""What `manage.py coordinate_shards` makes and refuses, and which shards PostgreSQL then asks for what."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import ClientCursor

from ledger import across as numbers
from ledger import places
from ledger.coordinator import BY_RANGES
from ledger.domain.serial import SHARD_CAPACITY
from ledger.domain.tag import KeyRing
from reports import across as counts
from tests.plugin import Database
from tests.support.processes import secret_keys, shards
from tests.support.processes.commands import manage
from tests.support.processes.shards import READER, Two, make_conninfo_url

GIVEN = {"tags": [b"a"], "first": "2026-01-01", "last": "2026-12-31", "zone": "UTC"}


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    """Two shards that have allocators and no numbers, and their coordinator."""
    with shards.two() as made:
        for shard in made.shards:
            manage(shard.database, "init_allocator", **shard.settings)
        code, said = made.coordinate()
        assert code == 0, said
        yield made


@pytest.fixture(scope="module")
def session(two: Two) -> Iterator["psycopg.Connection[tuple[str]]"]:
    """As a reading instance has it."""
    with psycopg.connect(two.database.url, autocommit=True, cursor_factory=ClientCursor) as made:
        made.execute("SET ROLE tracking_app")
        yield made


def plan(session: "psycopg.Connection[tuple[str]]", statement: str | bytes, given: Any = None) -> str:
    text = statement.decode() if isinstance(statement, bytes) else statement
    explained = session.execute(f"EXPLAIN (VERBOSE) {text}".encode(), given)
    return "\n".join(line for (line,) in explained)


def asked(plan: str) -> set[str]:
    """The shards that a plan asks."""
    return {schema for schema in ("shard_0", "shard_1") if f"{schema}." in plan}


@pytest.mark.parametrize("statement", [numbers._LEAF, numbers._PROOF, numbers._ISSUED])
def test_for_a_number_its_own_shard_alone_is_asked(
    session: "psycopg.Connection[tuple[str]]", statement: str | bytes
) -> None:
    for shard in (0, 1):
        assert asked(plan(session, statement, ["0" * 16, shard * SHARD_CAPACITY + 5])) == {f"shard_{shard}"}


def test_for_a_checkpoint_and_for_tiles_one_shard_is_asked(session: "psycopg.Connection[tuple[str]]") -> None:
    assert asked(plan(session, numbers._SEALED, [SHARD_CAPACITY])) == {"shard_1"}
    tiles = "SELECT hashes FROM shard_tile WHERE shard = 1 AND (level, position) IN ((0, 1), (1, 0))"
    found = plan(session, tiles)
    assert asked(found) == {"shard_1"}
    assert "level = 0" in found.partition("Remote SQL")[2]


@pytest.mark.parametrize("schema", ["shards", BY_RANGES])
def test_a_stretch_of_a_list_is_read_in_order_from_one_shard(
    session: "psycopg.Connection[tuple[str]]", schema: str
) -> None:
    where = f"serial BETWEEN {SHARD_CAPACITY} AND {SHARD_CAPACITY + 999} AND origin = 'MY' AND customer_tag IN ('a')"
    found = plan(session, f"SELECT number FROM {schema}.issuance_event WHERE {where} ORDER BY serial LIMIT 101")
    remote = found.partition("Remote SQL")[2]
    assert all(each in remote for each in ("serial >=", "origin = 'MY'", "customer_tag"))
    assert ("shard_1_by_ranges." in found) == (schema == BY_RANGES)
    assert not asked(found) - {"shard_1"}
    if schema != BY_RANGES:  # whose sessions go by no index that has the order
        assert "ORDER BY serial" in remote
        assert "Sort" not in found


@pytest.mark.parametrize(
    "statement",
    [counts.BY_DAY, counts.BY_ROUTE, counts.BY_WEIGHT_BAND, counts.CUSTOMER_CELLS, counts.DAY_CELLS, counts.DAYS],
    ids=["by day", "by route", "by weight band", "customer's cells", "a day's cells", "days"],
)
def test_each_shard_counts_its_own_and_both_at_once(session: "psycopg.Connection[tuple[str]]", statement: str) -> None:
    found = plan(session, statement, GIVEN)
    scans = found.count("Foreign Scan")
    assert scans == found.count("Async Foreign Scan") >= 4
    usage = [line for line in found.splitlines() if "Remote SQL" in line and ("_usage" in line or "_total" in line)]
    assert len(usage) == 2
    assert all("sum(count)" in line and "GROUP BY" in line and "day >=" in line for line in usage)


def test_how_far_the_logs_go_is_asked_of_both_at_once(session: "psycopg.Connection[tuple[str]]") -> None:
    assert plan(session, places._EXTENTS).count("Async Foreign Scan") == 2


def test_it_can_be_made_again_and_is_the_same(two: Two) -> None:
    before = catalogue(two.database)
    assert two.coordinate()[0] == 0
    assert catalogue(two.database) == before
    one = two.shards[0]
    assert two.coordinate(one.line) == (0, "This database coordinates 1 shards: 0.\n")
    assert asked("\n".join(f"{name}." for name in catalogue(two.database))) == {"shard_0"}
    assert two.coordinate()[0] == 0
    assert catalogue(two.database) == before


def catalogue(database: Database) -> list[str]:
    """The schemas and relations that a database has, and who may read them."""
    with psycopg.connect(database.owner_url) as session:
        return [
            name
            for (name,) in session.execute(
                "SELECT nspname || '.' || relname || ' ' || coalesce(relacl::text, '') FROM pg_class c"
                " JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname ~ '^(shard|by_ranges|public)' ORDER BY 1"
            )
        ]


def test_what_does_not_fit_is_refused_with_what_to_do_and_changes_nothing(two: Two) -> None:
    first, second = two.shards
    before = catalogue(two.database)

    def refusal(file: str, **settings: str) -> str:
        code, said = two.coordinate(file, **settings)
        assert code == 1, said
        return said

    assert "is shard 0" in refusal(first.line.replace("0 ", "3 ", 1))
    assert "another NUMBER_KEY" in refusal(two.file, NUMBER_KEY=secret_keys.key("another"))
    assert "may write there" in refusal(f"1 {second.database.url} {second.key}")
    assert "may write there" in refusal(f"1 {second.database.owner_url} {second.key}")
    nobody = make_conninfo_url(second.database, "nobody_knows")
    assert "Shard 1 can't be asked" in refusal(f"1 {nobody} {second.key}")
    assert "No shard is named" in refusal("# nothing\n")
    assert "is no superuser" in refusal(two.file, DATABASE_OWNER_URL=two.database.url)
    assert catalogue(two.database) == before


def test_keys_that_do_not_find_every_shards_customers_are_refused(two: Two) -> None:
    other = secret_keys.key("another")
    shard = two.shards[1].database
    with psycopg.connect(shard.url, autocommit=True) as session:  # as the first process that issues there does it
        for fact in ("introduced", "used"):
            mac = KeyRing.parse(secret_keys.OLD).fingerprints[1]
            session.execute("INSERT INTO customer_key (key_id, fact, fingerprint) VALUES (1, %s, %s)", [fact, mac])
    for keys, sentence in (
        (f"1:{other}", "Shard 1: CUSTOMER_TAG_KEYS: key 1 has the fingerprint"),
        (secret_keys.NEW, "Shard 1: CUSTOMER_TAG_KEYS lacks key 1"),
    ):
        code, said = two.coordinate(CUSTOMER_TAG_KEYS=keys)
        assert (code, sentence in said) == (1, True), said
    assert two.coordinate(CUSTOMER_TAG_KEYS=f"{secret_keys.OLD},{secret_keys.NEW}")[0] == 0


def test_a_database_that_issues_is_no_coordinator(two: Two) -> None:
    first, second = two.shards
    code, said = two.coordinate(second.line, DATABASE_OWNER_URL=first.database.owner_url)
    assert (code, "Numbers are issued into this database" in said) == (1, True)


def test_the_login_that_reads_the_shards_reads_and_does_nothing_else(two: Two) -> None:
    url = make_conninfo_url(two.shards[1].database, READER)
    options = "-c tracking.shard=1 -c tracking.report_time_zone=UTC"
    with psycopg.connect(url, autocommit=True, options=options) as reader:
        for relation in (*counts.RELATIONS, "shard_leaf", "shard_log", "shard_sealed", "shard_tile", "issuance_event"):
            reader.execute(f"SELECT * FROM {relation}")
            for statement in (f"DELETE FROM {relation}", f"INSERT INTO {relation} DEFAULT VALUES"):
                with pytest.raises(psycopg.Error) as refused:
                    reader.execute(statement)
                assert refused.value.sqlstate in {"42501", "55000"}, relation  # not allowed; not a view to change
