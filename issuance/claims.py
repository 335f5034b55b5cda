"""Idempotency claims: the first event under a key is the only one, across processes, for as long as the key lives."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.session import Session
from ledger.domain.entry import Event
from ledger.domain.tag import Claim
from ledger.store import COLUMNS_AS_TEXT, from_text


class Won(NamedTuple):
    """The event that a tag stands for, and the fingerprint of the order that it was issued for."""

    event: Event
    fingerprint: bytes


_CLAIM = b"""
    INSERT INTO idempotency_claim (tag, number, fingerprint)
    SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[]) AS claim (tag, number, fingerprint) ORDER BY tag
    ON CONFLICT DO NOTHING RETURNING tag, number"""
_WINNERS = (
    b"""
    SELECT claim.tag, claim.fingerprint, %b
      FROM idempotency_claim AS claim JOIN issuance_event AS event USING (number) WHERE claim.tag = ANY($1::bytea[])"""
    % COLUMNS_AS_TEXT
)


def _array(values: Iterable[bytes]) -> bytes:
    return b"{" + b",".join(b'"\\\\x' + value.hex().encode() + b'"' for value in values) + b"}"


async def claim(session: Session, claims: Iterable[tuple[str, Sequence[Claim]]]) -> set[tuple[bytes, str]]:
    """Claim for numbers, within a transaction; returns the (tag, number) pairs won.

    Waits for whoever holds the same tag uncommitted. Rows go in by tag, so that two batches can't deadlock.
    """
    rows = [(one.tag, number, one.fingerprint) for number, each in claims for one in each]
    won = await session.execute(
        _CLAIM,
        [
            _array(tag for tag, _, _ in rows),
            b"{" + ",".join(number for _, number, _ in rows).encode() + b"}",
            _array(fingerprint for _, _, fingerprint in rows),
        ],
    )
    return {(bytes.fromhex(tag[2:].decode()), number.decode()) for tag, number in won if tag and number}


async def winners(session: Session, tags: Iterable[bytes]) -> dict[bytes, Won]:
    """The committed events behind claimed tags."""
    rows = await session.execute(_WINNERS, [_array(tags)])
    return {
        bytes.fromhex(row[0][2:].decode()): Won(from_text(row[2:]), bytes.fromhex(row[1][2:].decode()))
        for row in rows
        if row[0] and row[1]
    }
