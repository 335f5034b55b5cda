"""The ledger's record of the customers' keys (ledger/sql/customer_key.sql), read and added to."""

from datetime import datetime
from typing import Final, NamedTuple

from core.session import OPTIONS, Session
from ledger.domain import customer_key
from ledger.domain.customer_key import Fact, Known, Record
from ledger.domain.tag import KeyRing
from ledger.log import Connection

_READ: Final = b"SELECT key_id, fact, encode(fingerprint, 'hex') FROM customer_key"
_RECORD: Final = b"""
    INSERT INTO customer_key (key_id, fact, fingerprint)
    SELECT key_id, fact, decode(fingerprint, 'hex')
      FROM unnest($1::smallint[], $2::text[], $3::text[]) AS new (key_id, fact, fingerprint)
    ON CONFLICT DO NOTHING"""
_PERIOD: Final = b"""
    SELECT count(*), min(requested_at), max(requested_at) FROM issuance_event WHERE customer_key_id = %s"""
# The login's own sessions show when they began, others' only to pg_read_all_stats: what can't be seen may be older.
_OLDER: Final = b"""
    SELECT count(*) FROM pg_stat_activity a, customer_key k
     WHERE a.datname = current_database() AND a.application_name = %s AND k.key_id = %s AND k.fact = %s
       AND coalesce(a.backend_start <= k.recorded_at, true)"""
_ADD: Final = b"INSERT INTO customer_key (key_id, fact, fingerprint) VALUES (%s, %s, %s)"


class Period(NamedTuple):
    """The events of one key.

    Attributes:
        events: how many.
        first, last: when; None where there are none.
    """

    events: int
    first: datetime | None
    last: datetime | None


async def check(session: Session, ring: KeyRing) -> None:
    """Whoever is about to issue compares its keys with the record, and adds what is new to it.

    Raises:
        CustomerKeyError: they don't fit.
        StatementError: the record can't be read or written.
    """
    async with session.turn:
        new = customer_key.check(ring, await _read(session))
        if not new:
            return
        columns = zip(*[(str(each.key_id), each.fact, each.fingerprint.hex()) for each in new], strict=True)
        await session.execute(_RECORD, [b"{" + ",".join(column).encode() + b"}" for column in columns])
        # Another process may have been first, with another secret.
        customer_key.check(ring, await _read(session))


async def _read(session: Session) -> Record:
    rows = await session.execute(_READ)
    return Record(_known(*((text or b"").decode() for text in row)) for row in rows)


def read(connection: Connection) -> Record:
    """The record, for commands."""
    return Record(_known(*row) for row in connection.execute(_READ))


def _known(key_id: str | int, fact: str, fingerprint: str) -> Known:
    return Known(int(key_id), Fact(fact), bytes.fromhex(fingerprint))


def period(connection: Connection, key_id: int) -> Period:
    """The events of a key, counted row by row: no index goes by it, since a key is ended once in years."""
    row = connection.execute(_PERIOD, [key_id]).fetchone()
    assert row is not None  # noqa: S101  # an aggregate
    return Period(*row)


def sessions_before(connection: Connection, key_id: int, fact: Fact) -> int:
    """How many sessions of writers are older than a fact, so that their processes have the settings of before it.

    Args:
        connection: of the login that serves, without its role: others' sessions don't show when they began.
        key_id: of the key.
        fact: what happened to it.
    """
    row = connection.execute(_OLDER, [OPTIONS["application_name"], key_id, fact]).fetchone()
    assert row is not None  # noqa: S101  # an aggregate
    return int(row[0])


def record(connection: Connection, key_id: int, fact: Fact, fingerprint: bytes) -> None:
    """Record a fact, which can't be taken back; the end of a key takes the owner's session."""
    connection.execute(_ADD, [key_id, fact, fingerprint])
