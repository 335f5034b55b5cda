"""Accounts for the numbers of a shard, from its blocks and events as one moment shows them; it only reads.

Beside the sums it finds what must not be there: events in blocks that were never leased, and events whose number is not
that of their serial. Both can only have been put there around the service.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import batched
from typing import Final, NamedTuple

from issuance.allocator import ALLOCATOR, NOBODY, agree
from issuance.domain.account import Block, Closed, Figures, Recount, Tally, Writers, nothing
from issuance.domain.number import Numbering
from issuance.misplaced import Faults, Misplaced
from ledger.domain.serial import BLOCK_BITS, BLOCK_SIZE, BLOCKS_PER_SHARD, first_block, first_serial
from ledger.log import Connection
from ledger.writers import LOCKED

_BLOCKS_AT_ONCE: Final = 64
_FIRST, _LAST = -(1 << 63), (1 << 63) - 1
"""What PostgreSQL could have as a serial."""

# One statement: its snapshot is older than what it reads of the locks, so a writer of a block that it shows is alive or
# gone, and never still to come.
_WRITERS: Final = f"""
    SELECT (SELECT max(id) FROM number_block WHERE id BETWEEN %s AND %s), ARRAY({LOCKED})"""  # noqa: S608  # constants
_OWN: Final = f"""
    SELECT serial, number FROM issuance_event
     WHERE serial BETWEEN b.id << {BLOCK_BITS} AND (b.id << {BLOCK_BITS}) + {BLOCK_SIZE - 1}"""  # noqa: S608  # constants
# ORDER BY with LIMIT has the planner go by the index, however large the table is.
_FRONTS: Final = f"""
    SELECT b.writer, max(b.id)
      FROM number_block b CROSS JOIN LATERAL ({_OWN} ORDER BY serial LIMIT 1) AS own
     WHERE (b.id = ANY(%(open)s) OR b.id BETWEEN %(end)s AND %(known)s) AND b.writer = ANY(%(alive)s)
     GROUP BY b.writer"""  # noqa: S608  # constants
_BLOCKS: Final = f"""
    SELECT b.id, b.writer, b.leased_at, e.serials, e.numbers
      FROM (SELECT id, writer, leased_at FROM number_block WHERE {{}} ORDER BY id LIMIT {_BLOCKS_AT_ONCE}) AS b
     CROSS JOIN LATERAL (
           SELECT array_agg(serial) AS serials, array_agg(number) AS numbers
             FROM ({_OWN} ORDER BY serial LIMIT {BLOCK_SIZE}) AS own) AS e
     ORDER BY b.id"""  # noqa: S608  # constants
_SOME: Final = _BLOCKS.format("id = ANY(%s)")
_NEXT: Final = _BLOCKS.format("id BETWEEN %s AND %s")


class Noted(NamedTuple):
    """What was closed when it was last accounted for."""

    counted_at: datetime
    closed: Closed


class Detail(NamedTuple):
    """One block, as a table of them shows it."""

    id: int
    writer: int
    leased_at: datetime
    figures: Figures


class Account(NamedTuple):
    """What became of the serials of a shard.

    Attributes:
        figures: of all blocks that were looked at, and of those that were closed before.
        closed: what need not be looked at again.
        all: whether no block is left to be looked at.
        looked_at: events that were read.
        wrong: how many events, or sums, are not as they must be.
        faults: a sentence for each of these, as far as they are named.
    """

    figures: Figures
    closed: Closed
    all: bool
    looked_at: int
    wrong: int
    faults: list[str]


def account(
    connection: Connection,
    numbering: Numbering,
    shard: int,
    before: Closed | None = None,
    *,
    most: int | None = None,
    noted: Noted | None = None,
    each: Callable[[Detail], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Account:
    """Account for a shard's numbers, in a transaction that sees one moment; memory does not grow with them.

    Args:
        connection: in autocommit and no transaction; may read ``allocator``, ``number_block`` and ``issuance_event``.
        numbering: under NUMBER_KEY.
        shard: whose blocks these are.
        before: what an account without faults found to be closed: only its sums are taken over.
        most: blocks to look at beyond those; None: all.
        noted: what an earlier account found, to be compared where all is looked at.
        each: told of each block that is looked at.
        progress: told how many blocks of how many are done.

    Raises:
        issuance.domain.errors.FenceError: the database's numbers are of another NUMBER_KEY, or another shard.
        psycopg.Error: the database failed; nothing is said.
    """
    allocator = connection.execute(ALLOCATOR).fetchone()
    if allocator is not None:
        agree(allocator, (shard, numbering.fingerprint))
    begin = before or nothing(shard)
    ((highest, locks),) = connection.execute(_WRITERS, [begin.end, _end(shard) - 1]).fetchall()
    known, alive = begin.end - 1 if highest is None else highest, {*locks} - {NOBODY}
    faults = Faults()
    recount = Recount(nothing(shard) if noted is None else noted.closed)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        given = {"open": list(begin.open), "end": begin.end, "known": known, "alive": list(alive)}
        writers = Writers(known, alive, dict(connection.execute(_FRONTS, given).fetchall()))
        found = _Pass(connection, Misplaced(connection, numbering, faults), begin, shard)
        expected = len(begin.open) + known + 1 - begin.end
        for block, leased_at in found.blocks(most):
            each(Detail(block.id, block.writer, leased_at, found.tally.add(block, holds=writers.hold(block))))
            recount.see(block)
            progress(found.done, max(found.done, expected))
    if noted is not None and not recount.same(shard):
        faults.add(
            f"The blocks that were closed by {noted.counted_at:%Y-%m-%d %H:%M} UTC were {noted.closed.blocks(shard):,} "
            f"with {noted.closed.issued:,} events, and are {recount.blocks:,} with {recount.issued:,} now: rows were "
            "inserted or removed since."
        )
    return Account(
        *(found.tally.figures, found.tally.closed, found.complete, found.events, faults.wrong, faults.sentences())
    )


class _Pass:
    """Reads blocks: those that were left open, then the others by their ids, and has their events looked at.

    Attributes:
        tally: of what was read; whoever reads adds to it.
        done: how many blocks were read.
        events: how many events they have.
        complete: whether there was nothing more.
    """

    def __init__(self, connection: Connection, misplaced: Misplaced, begin: Closed, shard: int) -> None:
        self.tally = Tally(begin, shard)
        self.done = self.events = 0
        self.complete = False
        self._connection = connection
        self._misplaced = misplaced
        self._begin = begin
        self._shard = shard

    def blocks(self, most: int | None) -> Iterator[tuple[Block, datetime]]:
        """Each, and when it was leased; of those that were not left open, ``most`` or some more."""
        for some in batched(sorted(self._begin.open), _BLOCKS_AT_ONCE):
            yield from self._read(_SOME, [list(some)])
        at, enough = self._begin.end, None if most is None else self._begin.end + most
        # What lies beyond an id that is not leased is looked at again, so there it is no use to stop.
        while enough is None or at < enough or self.tally.closed.end < at:
            before = at
            for block, leased_at in self._read(_NEXT, [at, _end(self._shard) - 1]):
                if block.id > at:
                    self._misplaced.strays(first_serial(at), first_serial(block.id) - 1)
                at = block.id + 1
                yield block, leased_at
            if at == before:
                self.complete = True
                self._misplaced.strays(first_serial(at), _LAST)
                self._misplaced.strays(_FIRST, first_serial(first_block(self._shard)) - 1)
                return

    def _read(self, statement: str, given: Sequence[object]) -> Iterator[tuple[Block, datetime]]:
        for block, writer, leased_at, serials, numbers in self._connection.execute(statement, given).fetchall():
            self.done += 1
            if serials is None:
                yield Block(block, writer, 0, None), leased_at
                continue
            self.events += len(serials)
            self._misplaced.check(serials, numbers)
            yield Block(block, writer, len(serials), serials[-1]), leased_at


def _end(shard: int) -> int:
    """The id behind a shard's last block."""
    return first_block(shard) + BLOCKS_PER_SHARD
