"""A restored database made fit to go on: events put back, blocks of its future written off, and a record of both.

It reads fence and publication, and writes neither: so a copy can be recovered for practice while the service runs.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple
from uuid import uuid4

import msgspec

from issuance.allocator import ALLOCATOR, NOBODY, check, highest_block
from issuance.domain.errors import FenceError, RestoredDatabaseError
from issuance.fence import Fence, Mark
from issuance.locks import LEASING
from ledger import guard, log, recovery_record, standby
from ledger.domain import note
from ledger.domain.note import Checkpoint, NoteError, VerifierKey
from ledger.log import Connection
from ledger.publication import Publication
from ledger.recovery import NumberOf, RecoveryError, Restoration, Salvaged, Told
from ledger.recovery_record import Record
from ledger.succession import keys

_PATIENCE, _POLL = 15.0, 0.1
"""A sealer that is refused has the sealers' lock for a moment each five seconds at most."""
_ALLOCATE = "INSERT INTO allocator (id, shard, key_fingerprint) VALUES (%s, %s, decode(%s, 'hex'))"
_WRITE_OFF = "INSERT INTO number_block (id, writer) SELECT generate_series(%s::bigint, %s::bigint), %s"
# A writer uses its serials in order, so in each block that may have had more, all above the last event are in question;
# where leaves are lost, those between events, too.
_LOST = """
    SELECT lower(each), upper(each) FROM (
        SELECT unnest(range_agg(CASE WHEN %(gaps)s THEN int8multirange(whole) - coalesce(e.taken, '{}')
                                     ELSE int8multirange(int8range(coalesce(e.last + 1, lower(whole)), upper(whole)))
                                END)) AS each
          FROM number_block b
          LEFT JOIN block_cursor c ON c.block = b.id
         CROSS JOIN LATERAL (SELECT int8range(b.id * 1024, (b.id + 1) * 1024) AS whole) w
         CROSS JOIN LATERAL (SELECT max(serial) AS last, range_agg(int8range(serial, serial, '[]')) AS taken
                               FROM issuance_event WHERE serial >= b.id * 1024 AND serial < (b.id + 1) * 1024) e
         WHERE b.id >= %(from)s AND NOT coalesce(c.closed, false)) AS found
     WHERE NOT isempty(each)"""

_NEW_LOG = """
    UPDATE tree_state SET log_begin = greatest(log_begin, published_size), published_size = 0,
                          published_root = sha256(''), published_signature = NULL"""


class Plan(NamedTuple):
    """What a database lacks.

    Attributes:
        leaves: of its tree.
        published: leaves of the tree that was published, 0 where none was.
        missing: leaves to be put back.
        blocks: to be written off.
        takes_over: it knows of no allocator, and takes over the fence's.
    """

    leaves: int
    published: int
    missing: int
    blocks: range
    takes_over: bool

    @property
    def needed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.missing or self.blocks or self.takes_over)


class Outside(NamedTuple):
    """What is kept outside the database, and what it is compared by.

    Attributes:
        fence: the fence.
        place: the publication; None where all of it is lost, and the log can but end.
        key: of the log.
        shard: of the settings.
        fingerprint: of NUMBER_KEY.
        number_of: gives the numbers that serials and routes should have.
        above: the highest block that anything may have been issued from, where the fence does not tell.
    """

    fence: Fence
    place: Publication | None
    key: VerifierKey
    shard: int
    fingerprint: str
    number_of: NumberOf
    above: int | None = None


class Recovery:
    """One database, and what is outside it; for whoever is ``alone``."""

    def __init__(self, connection: Connection, outside: Outside) -> None:
        """Read both sides.

        Args:
            connection: in autocommit, in the owner's role.
            outside: what is kept outside.

        Raises:
            FenceError: fence, settings and database are not of one service, or the fence is lost.
            RecoveryError: the publication is lost, or not this database's.
            ledger.guard.RestoredError: the database is of another history than what was published.
            ledger.publication.PublicationError: the publication can't be read.
            ledger.log.LogError: the log's tables contradict each other.
        """
        self._connection = connection
        self._outside = outside
        self._state = log.read_state(connection)
        self._check_key()
        self._note, self._published = self._read_publication()
        # The fence last: where the service goes on beside a copy, what was published by then is of blocks below it.
        self._mark, self._highest, self._takes_over = self._read_fence()
        self._restoration = None
        if self._published is not None and outside.place is not None:
            limit = self._mark.highest_block
            self._restoration = Restoration(connection, outside.place, self._published, outside.number_of, limit)

    @property
    def plan(self) -> Plan:
        """What is to be done."""
        published = 0 if self._published is None else self._published.size
        missing = 0 if self._restoration is None else self._restoration.missing
        blocks = range(self._highest + 1, self._mark.highest_block + 1)
        return Plan(self._state.size, published, missing, blocks, self._takes_over)

    def check(self, told: Told) -> None:
        """Read all that is to be put back, and write nothing; raises as Restoration.check does."""
        if self._restoration is not None and self._restoration.missing:
            self._restoration.check(told)

    def recover(self, told: Told) -> Record:
        """Do it; raises as Restoration.put_back does. What was done until then stays, and is gone on with."""
        plan, events = self.plan, 0
        leaves, key = max(plan.leaves, plan.published), str(self._outside.key)
        record = Record(recovery_record.BEGUN, plan.leaves, leaves, 0, range(0), [], key, self._note)
        if self._restoration is not None and plan.missing:
            recovery_record.add(self._connection, record)
            events = self._restoration.put_back(told)
        with self._connection.transaction():
            blocks, lost = self._write_off(gaps=False)
            record = record._replace(kind=recovery_record.RECOVERED, events=events, blocks=blocks, lost=lost)
            recovery_record.add(self._connection, record)
        return record

    def end_log(self, reason: str, told: Told) -> Record:
        """Put back what there is of a log that can't go on, and let a new one begin with the database's leaves.

        What was signed and is not here is given up: the checkpoints of the old log stay, and so do the signatures that
        others keep, but nothing goes on from the last of them.

        Raises:
            RecoveryError: what there is can't be believed.
        """
        plan, salvaged = self.plan, Salvaged(0, 0, [])
        if self._restoration is not None and plan.missing:
            salvaged = self._restoration.salvage(told)
        with self._connection.transaction():
            blocks, lost = self._write_off(gaps=True)
            self._connection.execute(_NEW_LOG)
            record = Record(
                *(recovery_record.NEW_LOG, plan.leaves, self._state.published_size, salvaged.events, blocks, lost),
                *(str(self._outside.key), self._note, reason),
            )
            recovery_record.add(self._connection, record)
        return record

    def _write_off(self, *, gaps: bool) -> tuple[range, list[range]]:
        """Take over the allocator and write off blocks up to the fence; returns these, and the serials in question."""
        self._connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", LEASING)
        mark = self._mark
        if self._takes_over:
            self._connection.execute(_ALLOCATE, [mark.allocator, mark.shard, mark.key_fingerprint])
        blocks = range(self._read_highest() + 1, mark.highest_block + 1)
        self._connection.execute(_WRITE_OFF, [blocks.start, blocks.stop - 1, NOBODY])
        found = self._connection.execute(_LOST, {"gaps": gaps, "from": self._state.closed_below})
        return blocks, [range(first, end) for first, end in found]

    def _read_highest(self) -> int:
        ((newest,),) = self._connection.execute("SELECT max(id) FROM number_block")
        return highest_block(self._outside.shard, newest)

    def _read_fence(self) -> tuple[Mark, int, bool]:
        """The mark that is gone by, the highest block in the database, and whether the database has no allocator."""
        outside = self._outside
        row = self._connection.execute(ALLOCATOR).fetchone()
        highest = self._read_highest()
        mark, expected = outside.fence.read(), (outside.shard, outside.fingerprint)
        if outside.above is not None:
            if mark is None:
                mark = Mark(str(uuid4()) if row is None else row[0], *expected, outside.above)
            mark = msgspec.structs.replace(mark, highest_block=max(mark.highest_block, outside.above))
        if mark is None and row is not None:
            raise FenceError(
                f"There is no fence at {outside.fence}. Correct FENCE, or put the fence back from a copy. If it is "
                "lost, say above which block nothing can have been issued: --above."
            )
        fence_as_row = None if mark is None else (mark.allocator, str(mark.shard), mark.key_fingerprint)
        with suppress(RestoredDatabaseError):  # which is what we are here for
            check(row or fence_as_row, highest, mark, expected, str(outside.fence))
        assert mark is not None  # noqa: S101  # check has refused that
        return mark, highest, row is None

    def _read_publication(self) -> tuple[str | None, Checkpoint | None]:
        """The published checkpoint; it agrees with what of its tree the database has."""
        state, place, key = self._state, self._outside.place, self._outside.key
        found = None if place is None else guard.published(place, key)
        if found is None and place is None and state.published_signature is not None:
            checkpoint = state.published(key.name)
            return note.write(checkpoint, key, state.published_signature), checkpoint
        if found is None:
            if state.published_size:
                assert place is not None  # noqa: S101  # that is the case above
                sentence = guard.lost(place, state.published_size)
                raise RecoveryError(f"{sentence} If it is gone for good, a new log can begin: --new-log.")
            return None, None
        text, checkpoint, _ = found
        if checkpoint.size <= state.size:
            guard.check(checkpoint, self._connection, state.size)
        return text, checkpoint

    def _check_key(self) -> None:
        state, key = self._state, self._outside.key
        if keys(self._connection, key).over:
            raise RecoveryError(f"The log {key.name} has ended. Set LEDGER_KEY to the key of the one that goes on.")
        if state.published_signature is not None:
            try:
                key.verify(state.published(key.name).text, state.published_signature)
            except NoteError as error:
                raise RecoveryError(f"The database's log is not that of the key {key}: {error}") from None


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Have the sealers' lock, as long as the session lasts; RecoveryError where another one keeps it."""
    deadline = time.monotonic() + _PATIENCE
    while connection.execute("SELECT pg_try_advisory_lock(%s, %s)", standby.LOCK).fetchone() != (True,):
        if time.monotonic() > deadline:
            raise RecoveryError("A sealer is active in this database. Stop it, and run this again.")
        time.sleep(_POLL)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", standby.LOCK)
