"""Logs that ended: after a disaster that took the bundles, a new log goes on with the leaves under another origin."""

from typing import NamedTuple

from ledger.domain.note import VerifierKey
from ledger.log import Connection

_ENDED = "SELECT leaves, verifier_key FROM recovery WHERE kind = 'new log' ORDER BY id"


class Ended(NamedTuple):
    """A log that ended: the checkpoints of at most so many leaves are its, or of one before it, and its key."""

    leaves: int
    key: VerifierKey


class Keys:
    """Which key a checkpoint was signed with, by its size."""

    def __init__(self, present: VerifierKey, ended: list[Ended]) -> None:
        self.present = present
        self._ended = ended

    def of(self, size: int) -> VerifierKey:
        """The verifier key of the log that published a tree of ``size`` leaves."""
        return next((each.key for each in self._ended if size <= each.leaves), self.present)

    @property
    def over(self) -> bool:
        """Whether the present key is that of a log that ended: with it, the log would go on beside its successor."""
        return any(str(each.key) == str(self.present) for each in self._ended)


def keys(connection: Connection, present: VerifierKey) -> Keys:
    """The keys of this database's logs."""
    found = connection.execute(_ENDED).fetchall()
    return Keys(present, [Ended(leaves, VerifierKey.parse(text)) for leaves, text in found])
