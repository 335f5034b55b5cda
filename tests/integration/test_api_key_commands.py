"""The commands that look after API keys, as an operator runs them: what they print, and their exit codes."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from core.keys import domain
from tests.plugin import Database
from tests.support.clients.orders import GOOD
from tests.support.database.rows import Session
from tests.support.processes.commands import command, manage

ID = GOOD["customer_id"]
KEY = re.compile(r"tna_([1-9][0-9]*)_[0-9a-f]{32}(?:_([0-9a-f]{32}))?\n")
NO_SUCH_KEY = "There is no such key, or it is revoked already. `manage.py list_api_keys` lists them."
NAME = "a name has 1 to 100 printable characters"
DAYS = "days are a number from 1 to 36500"
CUSTOMER = "a customer's id is a UUID: hex digits as 8-4-4-4-12"
NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}


def run(database: Database, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    done = command(database, *arguments, **settings)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def superuser(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.owner_url, autocommit=True) as session:
        yield session


def made(database: Database, name: str, *options: str) -> tuple[int, str]:
    """Id and text of a new key."""
    code, out, err = run(database, "create_api_key", name, *options)
    assert (code, err) == (0, "")
    found = KEY.fullmatch(out)
    assert found is not None, "the key is all that is printed"
    return int(found[1]), out.strip()


def listed(database: Database, identity: int) -> list[str]:
    """The columns that the list has of a key."""
    code, out, err = run(database, "list_api_keys")
    assert (code, err) == (0, "")
    [line] = [line for line in out.splitlines() if line.startswith(f"{identity} ")]
    return re.split(" {2,}", line)


def test_a_new_key_is_printed_once_and_only_its_hash_is_kept(database: Database, superuser: Session) -> None:
    identity, text = made(database, "the warehouse", "--scope", "audit", "--scope", "issue", "--scope", "issue")
    row = superuser.execute(
        "SELECT name, scopes, bound, digest, expires_at, revoked_at, last_used_at, now() - created_at < '1 minute'"
        " FROM api_key WHERE id = %s",
        [identity],
    )
    expected = ("the warehouse", ["audit", "issue"], False, domain.digest(text), None, None, None, True)
    assert row.fetchall() == [expected]
    rows = superuser.execute("SELECT each::text FROM api_key AS each").fetchall()
    assert not any(text.split("_")[2] in row for (row,) in rows)
    assert "audit,issue" in listed(database, identity)


def test_a_key_is_bound_to_a_customer_whom_the_database_does_not_know(database: Database, superuser: Session) -> None:
    identity, text = made(database, "a customer's", "--scope", "reports", "--customer", ID.upper())
    assert text.endswith(f"_{UUID(ID).hex}")
    [(bound, row)] = superuser.execute(
        "SELECT bound, each::text FROM api_key AS each WHERE id = %s", [identity]
    ).fetchall()
    assert bound
    assert UUID(ID).hex not in row
    assert ID not in row
    assert listed(database, identity)[3] == "one"


def test_a_key_is_good_for_as_many_days_as_are_said(database: Database, superuser: Session) -> None:
    identity, _ = made(database, "a visitor's", "--scope", "audit", "--days", "30")
    [(expires,)] = superuser.execute("SELECT expires_at FROM api_key WHERE id = %s", [identity]).fetchall()
    assert abs(expires - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    assert listed(database, identity)[-1] == f"good until {expires.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
    longest, _ = made(database, "x" * 100, "--scope", "operate", "--days", "36500")
    assert listed(database, longest)[1] == "x" * 100


BAD = {
    "no name": (("--scope", "audit"), "the following arguments are required: name"),
    "an empty name": (("", "--scope", "audit"), NAME),
    "a long name": (("x" * 101, "--scope", "audit"), NAME),
    "a name of two lines": (("two\nlines", "--scope", "audit"), NAME),
    "a name that moves the cursor": (("\x1b[2J", "--scope", "audit"), NAME),
    "no scope": (("a", "--customer", ID), "the following arguments are required: --scope"),
    "a scope that there is not": (("a", "--scope", "everything"), "argument --scope: invalid choice: 'everything'"),
    "a customer's name": (("a", "--scope", "audit", "--customer", "RedBox"), CUSTOMER),
    "a customer without hyphens": (("a", "--scope", "audit", "--customer", UUID(ID).hex), CUSTOMER),
    "a customer in braces": (("a", "--scope", "audit", "--customer", f"{{{ID}}}"), CUSTOMER),
    "no days": (("a", "--scope", "audit", "--days", "0"), DAYS),
    "days gone by": (("a", "--scope", "audit", "--days=-1"), DAYS),
    "days for ever": (("a", "--scope", "audit", "--days", "36501"), DAYS),
    "days without end": (("a", "--scope", "audit", "--days", "9" * 5000), DAYS),
    "half a day": (("a", "--scope", "audit", "--days", "0.5"), DAYS),
    "days in other digits": (("a", "--scope", "audit", "--days", "３"), DAYS),
}


@pytest.mark.parametrize(("arguments", "sentence"), BAD.values(), ids=BAD)
def test_bad_arguments_make_no_key(
    database: Database, superuser: Session, arguments: tuple[str, ...], sentence: str
) -> None:
    before = superuser.execute("SELECT count(*) FROM api_key").fetchone()
    code, out, err = run(database, "create_api_key", *arguments)
    assert (code, out) == (2, "")
    assert "usage: " in err
    assert sentence in err
    assert superuser.execute("SELECT count(*) FROM api_key").fetchone() == before


@pytest.mark.parametrize("by", ["id", "text"])
def test_a_key_is_revoked_once_and_for_good(database: Database, superuser: Session, by: str) -> None:
    identity, text = made(database, "lost", "--scope", "audit", "--days", "3")
    given = {"id": str(identity), "text": text}[by]
    assert run(database, "revoke_api_key", given) == (
        *(0, f"Key {identity} is revoked; processes that remember it notice within 2 seconds.\n", ""),
    )
    found = superuser.execute("SELECT revoked_at FROM api_key WHERE id = %s", [identity]).fetchone()
    assert run(database, "revoke_api_key", given) == (1, "", f"CommandError: {NO_SUCH_KEY}\n")
    assert superuser.execute("SELECT revoked_at FROM api_key WHERE id = %s", [identity]).fetchone() == found
    assert found is not None
    assert listed(database, identity)[-1] == f"revoked {found[0].astimezone(UTC):%Y-%m-%dT%H:%MZ}"


@pytest.mark.parametrize(
    "given",
    ["1", "0", "9007199254740992", "9" * 30, "9" * 5000, "RedBox", "", "１", "1.0", "tna_1_", f"tna_1_{'0' * 32}"],
)
def test_a_key_that_there_is_not_is_not_revoked(database: Database, given: str) -> None:
    assert run(database, "revoke_api_key", given) == (1, "", f"CommandError: {NO_SUCH_KEY}\n")


def test_keys_are_listed_in_the_order_that_they_were_made(database: Database) -> None:
    first, _ = made(database, "first", "--scope", "audit")
    second, text = made(database, "second", "--scope", "audit", "--scope", "operate")
    out = manage(database, "list_api_keys")
    head, *rows = out.splitlines()
    assert head.split() == ["id", "name", "scopes", "customer", "made", "last", "used", "state"]
    assert [int(row.split()[0]) for row in rows][-2:] == [first, second]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert listed(database, second)[:4] == [str(second), "second", "audit,operate", "any"]
    assert listed(database, second)[5:] == ["never", "good"]
    assert listed(database, second)[4].startswith(today) or f"{datetime.now(UTC):%H:%M}" < "00:02"
    assert text.split("_")[2] not in out
    assert domain.digest(text).hex() not in out


def test_a_key_that_has_expired_is_said_to_be(database: Database, superuser: Session) -> None:
    superuser.execute("""
        INSERT INTO api_key (id, created_at, expires_at, bound, digest, name, scopes)
        VALUES (12, '2026-01-01Z', '2026-02-01 12:34:56Z', false, sha256('x'), 'old', '{audit}')""")
    assert listed(database, 12)[4:] == ["2026-01-01T00:00Z", "never", "expired 2026-02-01T12:34Z"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create_api_key", "a", "--scope", "audit"), "The key could not be kept, so there is none: "),
        (("revoke_api_key", "1"), "The key could not be revoked: "),
        (("list_api_keys",), "The keys can't be read: "),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_while_the_database_is_away_each_says_so(database: Database, arguments: tuple[str, ...], sentence: str) -> None:
    code, out, err = run(database, *arguments, **NOWHERE)
    assert (code, out) == (1, "")
    assert err.startswith(f"CommandError: {sentence}")
