"""The nightly accounting: what became of the serials of all blocks that were not closed by last night."""

import logging
from typing import Final

from issuance import accounts
from issuance.accounting import account
from issuance.domain.number import Numbering
from ledger.log import Connection

MOST_BLOCKS: Final = 2_048
"""Of a part, two million serials: some seconds, which is what a worker that is killed has counted for nothing."""

logger = logging.getLogger(__name__)


def account_numbers(connection: Connection, numbering: Numbering, shard: int, most: int = MOST_BLOCKS) -> list[str]:
    """Account for what is not closed yet; the caller has the turn ACCOUNTING.

    Each part of ``most`` blocks is noted in ``number_account`` when it is done. After one with faults the next account
    begins where that one did, so they are found again until they are gone.

    Args:
        connection: the reporter's, in no transaction.
        numbering: under NUMBER_KEY.
        shard: whose blocks these are.
        most: blocks of a part.

    Returns:
        Sentences that name what must not be there; none if everything is accounted for.

    Raises:
        issuance.domain.errors.FenceError: the database's numbers are of another NUMBER_KEY, or another shard.
        psycopg.Error: the database failed; nothing is said of the part.
    """
    while True:
        noted = accounts.newest(connection)
        found = account(connection, numbering, shard, None if noted is None else noted.closed, most=most)
        accounts.note(connection, found)
        if found.wrong:
            logger.critical("The numbers can't be accounted for. %s", " ".join(found.faults))
            return found.faults
        if found.all:
            return []
