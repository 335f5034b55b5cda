"""Checkpoints with cosignatures of witnesses, as the database has them; each was verified before it is told."""

import threading
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from ledger import log, reading
from ledger.domain import note
from ledger.domain.cosignature import Cosignature, Policy, WitnessKey
from ledger.domain.note import Checkpoint, NoteError, VerifierKey
from ledger.log import Connection, LogError

_LASTS: Final = 1.0
"""Seconds for which a web process believes what it read: as long as others may keep its checkpoint."""

_LARGEST = b"SELECT coalesce(max(size), 0) FROM cosignature"
# Newest first, and all rows of a size are beside each other in the primary key: it ends with the first that has enough.
_NEWEST = b"""
    SELECT size, root, signature, array_agg(witness), array_agg(cosigned_at), array_agg(cosignature)
      FROM cosignature
     WHERE size >= %s AND size > (SELECT log_begin FROM tree_state) AND witness = ANY(%s)
     GROUP BY size, root, signature HAVING count(*) >= %s ORDER BY size DESC LIMIT 1"""
_OF_SIZE = b"SELECT witness, cosigned_at, cosignature FROM cosignature WHERE size = %s AND witness = ANY(%s)"


class Witnessed(NamedTuple):
    """A published checkpoint that enough witnesses have cosigned."""

    size: int
    root: bytes
    signature: bytes
    """The log's."""
    cosigned_at: int
    """When the last of them cosigned it, in POSIX seconds."""
    lines: str
    """The witnesses', as they stand below the log's in a note."""
    note: str


def newest(connection: Connection, key: VerifierKey, policy: Policy, least: int = 0) -> Witnessed | None:
    """The newest checkpoint of ``least`` leaves or more that has a quorum, if there is one.

    Raises:
        LogError: a signature does not fit.
    """
    row = log.planned(connection, _NEWEST, [least, list(map(str, policy.keys)), policy.quorum])
    if row is None:
        return None
    size, root, signature, witnesses, times, cosignatures = row
    tree, text = reading.verified(key, size, root, signature)
    lines = _lines(tree, policy, zip(witnesses, times, cosignatures, strict=True))
    return Witnessed(size, root, signature, max(times), lines, text + lines)


def lines(connection: Connection, policy: Policy, tree: Checkpoint) -> str:
    """Whatever cosignatures there are of a checkpoint; LogError where one does not fit."""
    found = connection.execute(_OF_SIZE, [tree.size, list(map(str, policy.keys))])
    return _lines(tree, policy, found.fetchall())


def _lines(tree: Checkpoint, policy: Policy, rows: Iterable[tuple[str, int, bytes]]) -> str:
    given = {witness: Cosignature(timestamp, bytes(signature)) for witness, timestamp, signature in rows}
    return "".join(_line(tree, key, given[str(key)]) for key in policy.keys if str(key) in given)


def _line(tree: Checkpoint, key: WitnessKey, given: Cosignature) -> str:
    try:
        key.check(tree.text, given)
    except NoteError as error:
        raise LogError(f"A cosignature of {tree.size} leaves is not one of {key.name}: {error}") from error
    return note.line(key, given.data)


class Watch:
    """The newest witnessed checkpoint as a process knows it: read once a second at most, by any number of threads."""

    def __init__(self, lasts: float = _LASTS) -> None:
        self._lasts = lasts
        self._known: Witnessed | None = None
        self._looked = 0  # up to what size; where the quorum is away for long, nothing is looked at again and again
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def newest(self, connection: Connection, key: VerifierKey, policy: Policy) -> Witnessed | None:
        """See ``newest``; never an older one than before, also where a replica lags."""
        with self._lock:
            known, looked, fresh = self._known, self._looked, time.monotonic() < self._read_at + self._lasts
        if fresh:
            return known
        (largest,) = log.planned(connection, _LARGEST, ()) or (0,)
        # More may have come of the largest size since: a round's cosignatures are kept one by one.
        found = newest(connection, key, policy, looked)
        with self._lock:
            if found is not None and (self._known is None or found.size >= self._known.size):
                self._known = found
            self._looked = max(self._looked, largest)
            self._read_at = time.monotonic()
            return self._known
