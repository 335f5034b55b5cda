"""The nightly check: the leaves that are new since the last one are recomputed from their rows."""

import logging
from typing import Final

from ledger import verify_range
from ledger.domain.note import VerifierKey
from ledger.log import Connection
from ledger.verify_pass import NumberOf

_CHECKED: Final = "SELECT coalesce(max(end_leaf), 0) FROM ledger_check WHERE day IS NULL AND faults = '{}'"
_NOTE: Final = "INSERT INTO ledger_check (first_leaf, end_leaf, faults) VALUES (%s, %s, %s)"

logger = logging.getLogger(__name__)


def check_leaves(
    connection: Connection, key: VerifierKey, number_of: NumberOf, most: int = verify_range.MOST_LEAVES
) -> list[str]:
    """Check what is published since the last check that found nothing; the caller has the turn CHECKING.

    Each range of ``most`` leaves is noted in ``ledger_check`` when it is done, so a check that is killed goes on where
    it was. Of a range with faults the same is checked again next time.

    Args:
        connection: the reporter's, in no transaction.
        key: what the checkpoints are verified with.
        number_of: gives the numbers that serials and routes should have.
        most: leaves of a range.

    Returns:
        Sentences that say what is not as it was signed, and name it; none if everything fits.

    Raises:
        psycopg.Error: the database failed; nothing is said of the range.
    """
    while True:
        row = connection.execute(_CHECKED).fetchone()
        begin = row[0] if row else 0
        checked = verify_range.verify(connection, key, number_of, begin, most)
        connection.execute(_NOTE, [begin, checked.end, checked.faults])
        if checked.faults:
            logger.critical(
                "Of the leaves %s to %s, some are not what was signed. %s",
                *(begin, checked.end, " ".join(checked.faults)),
            )
            return checked.faults
        if checked.all:
            return []
