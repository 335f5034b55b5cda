"""Recomputes the whole log from the event rows, and says what does not fit: row, tile, signature or table.

All of it is read in one snapshot, so a sealer may work meanwhile; memory does not grow with the log.
"""

from collections.abc import Callable
from itertools import batched
from typing import NamedTuple

from ledger import guard, log, verify_tables
from ledger.domain.growth import Growth
from ledger.domain.note import Checkpoint, VerifierKey
from ledger.log import Connection, State
from ledger.publication import Publication, PublicationAwayError, PublicationError
from ledger.succession import keys
from ledger.verify_pass import MOST_FAULTS, NumberOf, Pass, TooManyFaultsError
from ledger.verify_trees import Signed

_RANGES_AT_ONCE = 64

type Outside = tuple[str, Checkpoint, bytes] | None


class Verdict(NamedTuple):
    """What was checked, and the sentences that say what does not fit; ``unsealed`` is None if it was not counted."""

    leaves: int
    tiles: int
    checkpoints: int
    cosignatures: int
    unsealed: int | None
    faults: list[str]


def verify(
    connection: Connection,
    key: VerifierKey,
    number_of: NumberOf,
    place: Publication | None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Verdict:
    """Check everything that the log says, in a transaction that sees one moment and only reads.

    Args:
        connection: in no transaction; may read the ledger's tables.
        key: the log's; those of logs before it are in the database.
        number_of: gives the numbers that serials and routes should have.
        place: where the log is published; None: the database alone is checked, as of a copy while the log goes on.
        progress: told how many leaves of how many are done.

    Raises:
        psycopg.Error: the database failed; nothing is said.
        ledger.log.LogError: the table ``tree_state`` is empty.
        ledger.publication.PublicationAwayError: the publication does not answer, so it can't be compared.
    """
    # The outside moves before the database records it: what is read before the snapshot is never ahead of its leaves.
    outside = None if place is None else _outside(place, key)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        check = _Verification(connection, key, number_of, progress)
        return check.run(place, outside)


def _outside(place: Publication, key: VerifierKey) -> "Outside | PublicationError":
    try:
        return guard.published(place, key)
    except PublicationAwayError:
        raise
    except PublicationError as error:
        return error


class _Verification:
    """One pass over the log."""

    def __init__(
        self, connection: Connection, key: VerifierKey, number_of: NumberOf, progress: Callable[[int, int], None]
    ) -> None:
        self._connection = connection
        self._key = key
        self._progress = progress
        self._state: State = log.read_state(connection)
        self._pass = Pass(connection, keys(connection, key), number_of, Growth())

    def run(self, place: Publication | None, outside: "Outside | PublicationError") -> Verdict:
        unsealed = None
        try:
            self._take_signatures(place, outside)
            in_runs, whole = self._pass.check_leaves(None, lambda done: self._progress(done, self._state.size))
            if whole:
                self._pass.faulty(self._pass.trees.end(self._state.root))
                self._pass.faulty(verify_tables.state(self._state, self._pass.trees.growth))
                self._pass.faulty(verify_tables.beyond(self._connection, self._state, self._pass.trees.growth.size))
            unsealed = self._count_unsealed()
            closed_below = self._state.closed_below
            self._pass.faulty(verify_tables.strays(self._connection, closed_below, in_runs, unsealed))
            self._pass.faulty(verify_tables.bookkeeping(self._connection, closed_below))
        except TooManyFaultsError:
            self._pass.faults.append(f"Stopped after {MOST_FAULTS} faults; there may be more.")
        trees = self._pass.trees
        found = self._pass
        return Verdict(trees.growth.size, trees.tiles, found.checkpoints, found.cosignatures, unsealed, found.faults)

    def _take_signatures(self, place: Publication | None, outside: "Outside | PublicationError") -> None:
        """Note what ``tree_state`` and the outside say was signed: to be compared when their sizes are reached."""
        size = self._state.published_size
        if self._state.published_signature is not None:
            what = f"The published tree of {size} leaves in tree_state"
            self._pass.signatures.append(
                Signed(what, size, self._state.published_signature, self._state.published_root)
            )
        if place is None:
            return
        now = _outside(place, self._key) if size else None
        for found in (outside, now):
            if isinstance(found, PublicationError):
                self._pass.fault(str(found))
                return
        if size and (not isinstance(now, tuple) or now[1].size < size):
            held = f"a checkpoint of {now[1].size} leaves" if isinstance(now, tuple) else "no checkpoint"
            self._pass.fault(f"{place} has {held}, but the database has published {size}: put it back from a copy.")
        if isinstance(outside, tuple):
            _, checkpoint, signature = outside
            try:
                guard.check_size(checkpoint, self._state.size)
            except guard.RestoredError as error:
                self._pass.fault(str(error))
            what = f"The checkpoint of {checkpoint.size} leaves in {place}"
            self._pass.signatures.append(Signed(what, checkpoint.size, signature, checkpoint.root))

    def _count_unsealed(self) -> int:
        """Count the events above the cursors of open blocks, which are checked by themselves."""
        ranges = verify_tables.open_ranges(self._connection, self._state.closed_below)
        return sum(1 for some in batched(ranges, _RANGES_AT_ONCE) for _ in self._pass.rows(some))
