"""Accounts for the numbers of a shard, from its blocks and events as one moment shows them; it only reads.

Beside the sums it finds what must not be there: events in blocks that were never leased, and events whose number is not
that of their serial. Both can only have been put there around the service.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from datetime import datetime
from itertools import batched
from typing import Final, NamedTuple

from issuance.domain.account import Block, Closed, Figures, Tally, Writers, nothing
from issuance.domain.number import Numbering
from issuance.registry import NOBODY
from ledger.domain.form import NumberError
from ledger.domain.serial import BLOCK_BITS, BLOCK_SIZE, BLOCKS_PER_SHARD, block_of, first_block, first_serial
from ledger.log import Connection
from ledger.writers import LOCKED

MOST_FAULTS: Final = 20
"""Events that are named; the others are counted."""
_BLOCKS_AT_ONCE: Final = 64
_ANY_SERIAL: Final = (-(1 << 63), (1 << 63) - 1)

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
_STRAYS: Final = "SELECT serial, number FROM issuance_event WHERE serial BETWEEN %s AND %s ORDER BY serial LIMIT %s"
_COUNT: Final = "SELECT count(*) FROM issuance_event WHERE serial BETWEEN %s AND %s"


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
        faults: a sentence for each of these, but for those beyond MOST_FAULTS.
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
        connection: in autocommit and no transaction; may read ``number_block`` and ``issuance_event``.
        numbering: under the NUMBER_KEY of the database.
        shard: whose blocks these are.
        before: what an account without faults found to be closed: only its sums are taken over.
        most: blocks to look at beyond those; None: all.
        noted: what an earlier account found, to be compared where all is looked at.
        each: told of each block that is looked at.
        progress: told how many blocks of how many are done.

    Raises:
        psycopg.Error: the database failed; nothing is said.
    """
    begin = before or nothing(shard)
    stop = first_block(shard) + BLOCKS_PER_SHARD
    ((highest, alive),) = connection.execute(_WRITERS, [begin.end, stop - 1]).fetchall()
    known = begin.end - 1 if highest is None else highest
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = _Accounting(connection, numbering, shard, begin, sorted({*alive} - {NOBODY}), known)
        return found.run(stop, most, noted, each, progress)


class _Accounting:
    """One pass over blocks, in their order."""

    def __init__(
        self, connection: Connection, numbering: Numbering, shard: int, begin: Closed, alive: list[int], known: int
    ) -> None:
        self._connection = connection
        self._numbering = numbering
        self._shard = shard
        self._begin = begin
        given = {"open": list(begin.open), "end": begin.end, "known": known, "alive": alive}
        self._writers = Writers(known, frozenset(alive), dict(connection.execute(_FRONTS, given).fetchall()))
        self._tally = Tally(begin, shard)
        self._looked_at = 0
        self._wrong = 0
        self._faults: list[str] = []
        self._noted: tuple[int, int] = (0, 0)

    def run(
        self,
        stop: int,
        most: int | None,
        noted: Noted | None,
        each: Callable[[Detail], None],
        progress: Callable[[int, int], None],
    ) -> Account:
        """Go through the blocks up to ``stop``."""
        expected = len(self._begin.open) + max(0, self._writers.known + 1 - self._begin.end)
        done, at, closed = 0, self._begin.end, None if noted is None else noted.closed
        again, complete = frozenset(() if closed is None else closed.open), True
        with closing(self._blocks(stop)) as blocks:
            for block, leased_at in blocks:
                if block.id > at:
                    self._strays(first_serial(at), first_serial(block.id) - 1)
                at = max(at, block.id + 1)
                figures = self._tally.add(block, holds=self._writers.hold(block))
                if closed is not None and block.id < closed.end and block.id not in again:
                    self._noted = self._noted[0] + 1, self._noted[1] + block.issued
                each(Detail(block.id, block.writer, leased_at, figures))
                done += 1
                progress(done, max(done, expected))
                # What lies beyond an id that is not leased is looked at again, so nothing would be gained by stopping.
                if most is not None and done >= most + len(self._begin.open) and self._tally.closed.end == at:
                    complete = False
                    break
        if complete:
            self._strays(first_serial(at), _ANY_SERIAL[1])
            self._strays(_ANY_SERIAL[0], first_serial(first_block(self._shard)) - 1)
        if noted is not None:
            self._compare(noted)
        return self._account(complete=complete)

    def _account(self, *, complete: bool) -> Account:
        faults = self._faults
        if self._wrong > len(faults):
            faults = [*faults, f"{self._wrong - len(faults):,} more are not named."]
        return Account(self._tally.figures, self._tally.closed, complete, self._looked_at, self._wrong, faults)

    def _blocks(self, stop: int) -> Generator[tuple[Block, datetime]]:
        for some in batched(sorted(self._begin.open), _BLOCKS_AT_ONCE):
            yield from self._read(_SOME, [list(some)])
        at = self._begin.end
        while True:
            last = None
            for last in self._read(_NEXT, [at, stop - 1]):  # noqa: B007  # where to go on
                yield last
            if last is None:
                return
            at = last[0].id + 1

    def _read(self, statement: str, given: Sequence[object]) -> Generator[tuple[Block, datetime]]:
        for block, writer, leased_at, serials, numbers in self._connection.execute(statement, given).fetchall():
            if serials is None:
                yield Block(block, writer, 0, None), leased_at
                continue
            self._check(serials, numbers)
            yield Block(block, writer, len(serials), serials[-1]), leased_at

    def _check(self, serials: Sequence[int], numbers: Sequence[str]) -> None:
        """Compare each number with the one that its serial has."""
        self._looked_at += len(serials)
        encode = self._numbering.encode
        for serial, number in zip(serials, numbers, strict=True):
            try:
                right = encode(serial, number[11:13], number[13:15])
            except ValueError:
                right = None  # there is no route in it
            if number != right:
                self._fault(lambda serial=serial, number=number: self._misplaced(serial, number))

    def _misplaced(self, serial: int, number: str) -> str:
        try:
            decoded = self._numbering.decode(number).serial
        except NumberError:
            return f"Number {number} stands at serial {serial}, and is none that NUMBER_KEY gives."
        leased = self._connection.execute("SELECT FROM number_block WHERE id = %s", [block_of(decoded)]).rowcount
        return (
            f"Number {number} stands at serial {serial}, and is that of serial {decoded}"
            f"{'' if leased else f' in block {block_of(decoded)}, which was never leased'}."
        )

    def _strays(self, first: int, last: int) -> None:
        """Name the events of serials that no block of the shard has."""
        found = self._connection.execute(_STRAYS, [first, last, MOST_FAULTS]).fetchall()
        for serial, number in found:
            self._fault(
                lambda serial=serial, number=number: (
                    f"Number {number} (serial {serial}) lies in block {block_of(serial)}, which was never leased."
                )
            )
        if len(found) == MOST_FAULTS:
            ((count,),) = self._connection.execute(_COUNT, [first, last]).fetchall()
            self._wrong += count - len(found)

    def _compare(self, noted: Noted) -> None:
        blocks, issued = noted.closed.blocks(self._shard), noted.closed.issued
        if self._noted != (blocks, issued):
            self._fault(
                lambda: (
                    f"The blocks that were closed by {noted.counted_at:%Y-%m-%d %H:%M} UTC were {blocks:,} with "
                    f"{issued:,} events then, and are {self._noted[0]:,} with {self._noted[1]:,} now: rows were "
                    "inserted or removed since."
                )
            )

    def _fault(self, sentence: Callable[[], str]) -> None:
        self._wrong += 1
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(sentence())
