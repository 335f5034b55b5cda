"""The record of customer keys in PostgreSQL: processes that start at once agree on one secret for an id."""

import asyncio

import psycopg
import pytest

from core.databases import APPLICATION_ROLE
from core.session import Session
from ledger import customer_keys
from ledger.domain.customer_key import CustomerKeyError, Fact, Record
from ledger.domain.tag import KeyRing
from tests.plugin import Database
from tests.support.processes.proc import eventually
from tests.support.processes.secret_keys import OLD, key

ROUNDS = 20


def record(database: Database) -> Record:
    with psycopg.connect(database.owner_url) as session:
        return customer_keys.read(session)


async def start(database: Database, *settings: str) -> list[object]:
    """Compare each setting with the record, all at the same time; what each is told."""
    sessions = [await Session.connect(database.url, APPLICATION_ROLE) for _ in settings]
    checks = [
        customer_keys.check(session, KeyRing.parse(text)) for session, text in zip(sessions, settings, strict=True)
    ]
    told = await asyncio.gather(*checks, return_exceptions=True)
    for session in sessions:
        session.close()
    return list(told)


def test_of_two_processes_that_give_one_id_to_two_secrets_one_is_refused(database: Database) -> None:
    assert asyncio.run(start(database, OLD, OLD)) == [None, None]
    for turn in range(ROUNDS):
        key_id = turn + 2
        settings = [f"{key_id}:{key(f'{side} {turn}')},{OLD}" for side in ("one", "other")]
        told = asyncio.run(start(database, *settings))
        (winner,) = [text for text, each in zip(settings, told, strict=True) if each is None]
        (refusal,) = [each for each in told if each is not None]
        assert isinstance(refusal, CustomerKeyError)
        assert "another secret" in str(refusal)
        assert record(database).fingerprints[key_id] == KeyRing.parse(winner).fingerprints[key_id]


def test_a_key_is_ended_by_an_owner_that_is_no_superuser_and_not_by_who_serves(database: Database) -> None:
    statement = "INSERT INTO customer_key (key_id, fact, fingerprint) VALUES (77, %s, sha256('a'))"
    with psycopg.connect(database.owner_url, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE key_owner LOGIN")
        superuser.execute("GRANT tracking_owner TO key_owner WITH INHERIT TRUE, SET TRUE")
    with psycopg.connect(database.owner_url.replace("//postgres@", "//key_owner@"), autocommit=True) as owner:
        customer_keys.record(owner, 77, Fact.RETIRED, bytes(32))
        assert record(database).has(77, Fact.RETIRED)
        owner.execute("SET ROLE tracking_owner")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            owner.execute("DELETE FROM customer_key")
    with psycopg.connect(database.url, autocommit=True) as serving:
        for fact in ("retired", "destroyed"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
                serving.execute(statement.replace("77", "78"), [fact])
    with psycopg.connect(database.owner_url, autocommit=True) as superuser:
        superuser.execute("DROP ROLE key_owner")


def test_sessions_that_do_not_show_when_they_began_count_as_older(database: Database) -> None:
    assert asyncio.run(start(database, OLD)) == [None]
    with psycopg.connect(database.owner_url, autocommit=True) as superuser:
        mine = (
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tracking-writer'"
        )
        assert eventually(lambda: not superuser.execute(mine).rowcount), "a session that was closed ends a little later"
        superuser.execute("CREATE ROLE key_stranger LOGIN IN ROLE tracking_auditor")
        with (
            psycopg.connect(database.url, application_name="tracking-writer"),
            psycopg.connect(database.url, autocommit=True) as same,
            psycopg.connect(database.url.replace("//tracking_web@", "//key_stranger@"), autocommit=True) as stranger,
        ):
            assert customer_keys.sessions_before(same, 1, Fact.INTRODUCED) == 0, "it began afterwards"
            assert customer_keys.sessions_before(stranger, 1, Fact.INTRODUCED) == 1
        superuser.execute("DROP ROLE key_stranger")
