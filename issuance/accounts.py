"""The table ``number_account``: what each night's accounting found, and so where the next one goes on."""

from typing import Final

from issuance.accounting import Account, Noted
from issuance.domain.account import Closed
from ledger.log import Connection

_NEWEST: Final = """
    SELECT counted_at, end_block, open_blocks, closed_issued
      FROM number_account
     WHERE wrong = 0 AND counted_at > coalesce((SELECT max(recorded_at) FROM recovery), '-infinity')
     ORDER BY id DESC LIMIT 1"""
_NOTE: Final = """
    INSERT INTO number_account (leased, issued, burned, held, end_block, closed_issued, wrong, open_blocks, faults)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""


def newest(connection: Connection) -> Noted | None:
    """The newest account that found nothing wrong, since blocks that were closed got events again by a recovery.

    None: there is none yet, and all is to be counted.
    """
    row = connection.execute(_NEWEST).fetchone()
    return None if row is None else Noted(row[0], Closed(row[1], tuple(row[2]), row[3]))


def note(connection: Connection, found: Account) -> None:
    """Write one down, for good."""
    closed = found.closed
    connection.execute(_NOTE, [*found.figures, closed.end, closed.issued, found.wrong, list(closed.open), found.faults])
