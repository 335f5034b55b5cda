"""Recomputes the leaves between two published trees from the event rows: what of them was altered since shows.

The tree is taken up at the first of the two from its tiles, and the signature of that size tells whether these are
right. What lies further to the left is not looked at: `manage.py verify_ledger` looks at everything.
"""

from typing import NamedTuple

from ledger import log, verify_tables
from ledger.domain import tiles
from ledger.domain.growth import Growth
from ledger.domain.note import Checkpoint, NoteError, VerifierKey
from ledger.log import Connection, LogError, State
from ledger.succession import keys
from ledger.verify_pass import MOST_FAULTS, NumberOf, Pass, TooManyFaultsError
from ledger.verify_trees import Signed

MOST_LEAVES = 1_000_000
"""Checked in one snapshot: one that lasts keeps PostgreSQL from clearing away what the sealer changes meanwhile."""


class Checked(NamedTuple):
    """A range that was checked: up to leaf ``end - 1``, whether that is all, and sentences that say what is wrong."""

    end: int
    all: bool
    faults: list[str]


def verify(
    connection: Connection, key: VerifierKey, number_of: NumberOf, begin: int, most: int = MOST_LEAVES
) -> Checked:
    """Check the next leaves that are published, in a transaction that sees one moment and only reads.

    Args:
        connection: in no transaction; may read the ledger's tables.
        key: the log's; those of logs before it are in the database.
        number_of: gives the numbers that serials and routes should have.
        begin: the size of a tree that was published: 0, or where another range ended.
        most: leaves.

    Raises:
        psycopg.Error: the database failed; nothing is said.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            state = log.read_state(connection)
            signers = keys(connection, key)
            if state.published_size == 0 and begin <= state.log_begin:  # a new log, before its first checkpoint
                return Checked(begin, all=True, faults=[])
            end = _end(connection, state, begin, most)
            growth = _taken_up(connection, signers.of(begin), begin, state.size)
        except LogError as error:
            return Checked(begin, all=False, faults=[str(error)])
        return _check(Pass(connection, signers, number_of, growth), state, end)


def _check(found: Pass, state: State, end: int) -> Checked:
    """Go from the tree that was taken up to the tree of ``end`` leaves, or to all leaves if that one is published."""
    last = end == state.published_size
    try:
        if last and state.published_signature is not None:
            what = f"The published tree of {end} leaves in tree_state"
            signed = Signed(what, end, state.published_signature, state.published_root)
            if found.trees.growth.size == end:  # nothing is new
                found.faulty(found.trees.signed(signed))
            found.signatures.append(signed)
        _, whole = found.check_leaves(state.size if last else end, lambda _: None)
        if whole:
            found.faulty(found.trees.end(state.root if last else found.trees.growth.root))
        if whole and last:
            found.faulty(verify_tables.state(state, found.trees.growth))
    except TooManyFaultsError:
        found.faults.append(f"Stopped after {MOST_FAULTS} faults; there may be more.")
    return Checked(end, last, found.faults)


def _end(connection: Connection, state: State, begin: int, most: int) -> int:
    """The size of the last published tree that has at most so many leaves more."""
    if state.published_size < begin:
        raise LogError(
            f"The first {begin} leaves were checked once, and only {state.published_size} are published: the database "
            "was put back to an old copy, or tree_state was altered."
        )
    if state.published_size - begin <= most:
        return state.published_size
    row = connection.execute(
        "SELECT max(size) FROM checkpoint WHERE size > %s AND size <= %s", [begin, begin + most]
    ).fetchone()
    if row is None or row[0] is None:
        raise LogError(f"No checkpoint is of {begin + 1} to {begin + most} leaves: the table checkpoint was altered.")
    return int(row[0])


def _taken_up(connection: Connection, key: VerifierKey, size: int, committed: int) -> Growth:
    """The tree of ``size`` leaves as its tiles give it, if that is the one that was signed.

    Raises:
        LogError: it is not; the message names the tiles.
    """
    if not size:
        return Growth()
    growing = tiles.growing(size)
    held = log.read_tiles(connection, growing)
    levels = -(-size.bit_length() // tiles.HEIGHT)
    edge = [b""] * levels
    for tile in growing:
        edge[tile.level] = held[tile.place]
    growth = Growth(size, edge)
    row = connection.execute("SELECT signature FROM checkpoint WHERE size = %s", [size]).fetchone()
    if row is None:
        raise LogError(f"The checkpoint of {size} leaves, which was checked once, is missing.")
    try:
        key.verify(Checkpoint(key.name, size, growth.root).text, row[0])
    except NoteError:
        raise LogError(
            f"The tiles of the first {size} leaves do not give the root that was signed: one of the tiles "
            f"{', '.join(_named(tile, committed) for tile in growing)} was altered, or the checkpoint of {size}. "
            "`manage.py verify_ledger` tells which."
        ) from None
    return growth


def _named(tile: tiles.Tile, committed: int) -> str:
    """A tile as it is by now, and where it is kept if it is still growing."""
    grown = tiles.Tile(*tile.place, tiles.width(*tile.place, committed))
    return f"{grown.path}{'' if grown.width == tiles.WIDTH else ' (tree_state)'}"
