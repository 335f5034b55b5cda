"""The part of verification beside the trees: state, cursors, runs, and rows that no leaf accounts for."""

from collections.abc import Iterator
from hashlib import sha256

from ledger.domain.growth import Growth
from ledger.domain.merkle import HASH_BYTES
from ledger.domain.serial import last_serial
from ledger.domain.tiles import HEIGHT, Tile
from ledger.log import Connection, State

_MOST = 20

# Tiles that the tree has not, lowest first. bigint >> 64 is >> 0, and a tree with a tile at level 7 has 2^64 leaves.
_BEYOND = """
    SELECT level, position FROM tile
     WHERE level >= 7 OR position >= %s::bigint >> %s * (level + 1) ORDER BY 1, 2 LIMIT %s"""
_COSIGNED = "SELECT count(*), max(size) FROM cosignature WHERE size > %s"
_CHECKPOINTS = (
    "SELECT count(*) FILTER (WHERE size > %s), coalesce(max(size) FILTER (WHERE size > %s), 0) FROM checkpoint"
)
# What may still come: above the cursors of open blocks. A lease is committed before its block is used.
_OPEN = """
    SELECT b.id, coalesce(c.last_serial + 1, b.id * 1024)
      FROM number_block b LEFT JOIN block_cursor c ON c.block = b.id
     WHERE b.id >= %s AND NOT coalesce(c.closed, false) ORDER BY b.id"""
# All that no run covers, and that can't come either.
_STRAYS = """
    SELECT e.number, e.serial
      FROM issuance_event e
      LEFT JOIN LATERAL (SELECT last_serial FROM run
                          WHERE first_serial <= e.serial ORDER BY first_serial DESC LIMIT 1) r ON true
     WHERE (r.last_serial IS NULL OR r.last_serial < e.serial)
       AND NOT EXISTS (SELECT FROM number_block b LEFT JOIN block_cursor c ON c.block = b.id
                        WHERE b.id = e.serial >> 10 AND b.id >= %s AND NOT coalesce(c.closed, false)
                          AND e.serial > coalesce(c.last_serial, -1))
     ORDER BY e.serial LIMIT %s"""
_CURSORS = """
    SELECT coalesce(c.block, r.block), c.last_serial, r.last
      FROM block_cursor c
      FULL JOIN (SELECT first_serial >> 10 AS block, max(last_serial) AS last FROM run GROUP BY 1) r
        ON r.block = c.block
     WHERE c.block IS NULL OR c.last_serial <> coalesce(r.last, c.block * 1024 - 1)
     ORDER BY 1 LIMIT %s"""
_UNLEASED = """
    SELECT c.block FROM block_cursor c LEFT JOIN number_block b ON b.id = c.block
     WHERE b.id IS NULL ORDER BY 1 LIMIT %s"""
_CLOSED = """
    SELECT count(*), min(b.id), min(b.id) FILTER (WHERE c.closed IS NOT TRUE)
      FROM number_block b LEFT JOIN block_cursor c ON c.block = b.id WHERE b.id < %s"""
_OVERLAPS = """
    SELECT before, first_serial
      FROM (SELECT first_serial, lag(last_serial) OVER (ORDER BY first_serial) AS before FROM run) AS each
     WHERE before >= first_serial LIMIT %s"""


def state(found: State, growth: Growth) -> Iterator[str]:
    """What is wrong with the tree that ``tree_state`` has committed, where the rows give another one."""
    if (found.size, found.root) != (growth.size, growth.root):
        yield (
            f"The table tree_state says {found.size} leaves with the root {found.root.hex()}; expected are "
            f"{growth.size} with {growth.root.hex()}."
        )
    for level, (held, expected) in enumerate(zip(_padded(found.edge), _padded(growth.edge), strict=True)):
        if held != expected:
            path = Tile(level, growth.size >> HEIGHT * (level + 1), len(expected) // HASH_BYTES).path
            yield f"The growing tile {path} in tree_state (edge) is {_shown(held)}; expected is {_shown(expected)}."


def beyond(connection: Connection, found: State, size: int) -> Iterator[str]:
    """The tiles and checkpoints of trees larger than the one of the rows, which has ``size`` leaves."""
    for level, position in connection.execute(_BEYOND.encode(), [size, HEIGHT, _MOST]).fetchall():
        yield f"Tile {Tile(level, position).path} is of a larger tree than that of {size} leaves."
    ((larger, newest),) = connection.execute(_CHECKPOINTS.encode(), [size, found.log_begin]).fetchall()
    if larger:
        yield f"{larger} checkpoints are of more than the {size} leaves that there are; the last of {newest}."
    ((cosigned, most),) = connection.execute(_COSIGNED.encode(), [size]).fetchall()
    if cosigned:
        yield f"{cosigned} cosignatures are of more than the {size} leaves that there are; the last of {most}."
    if newest != found.published_size:
        yield f"The table tree_state has published {found.published_size} leaves; the newest checkpoint has {newest}."


def open_ranges(connection: Connection, closed_below: int) -> list[tuple[int, int]]:
    """The serials that may hold events which are not sealed yet: (first, last) for each open block, lowest first."""
    found = connection.execute(_OPEN.encode(), [closed_below]).fetchall()
    return [(first, last_serial(block)) for block, first in found if first <= last_serial(block)]


def strays(connection: Connection, closed_below: int, in_runs: int, unsealed: int) -> Iterator[str]:
    """The events that are neither leaves nor going to be, if the others don't add up to all.

    Args:
        connection: in the snapshot in which all was read.
        closed_below: of ``tree_state``.
        in_runs: events found within runs.
        unsealed: events found above the cursors of open blocks.
    """
    ((events,),) = connection.execute("SELECT count(*) FROM issuance_event").fetchall()
    if events == in_runs + unsealed:
        return
    yield (
        f"The ledger has {events} events; {in_runs} are of runs, and {unsealed} are not sealed yet. They should add up."
    )
    for number, serial in connection.execute(_STRAYS.encode(), [closed_below, _MOST]).fetchall():
        yield (
            f"Number {number} (serial {serial}) is in the ledger and not in the log: it was inserted behind a cursor, "
            "into a closed block, or where nothing was leased."
        )


def bookkeeping(connection: Connection, closed_below: int) -> Iterator[str]:
    """Where cursors, leases and runs contradict each other."""
    for last, first in connection.execute(_OVERLAPS.encode(), [_MOST]).fetchall():
        yield f"The run from serial {first} begins within the run before it, which ends with serial {last}."
    for block, held, last in connection.execute(_CURSORS.encode(), [_MOST]).fetchall():
        if held is None:
            yield f"Block {block} has no cursor; expected is one at {last}, the last serial of its last run."
        else:
            end = f"{last}, the last serial of its last run" if last is not None else "its begin, for it has no run"
            yield f"The cursor of block {block} stands at serial {held}; expected is {end}."
    for (block,) in connection.execute(_UNLEASED.encode(), [_MOST]).fetchall():
        yield f"Block {block} has a cursor, but nobody ever leased it."
    ((leased, first, still_open),) = connection.execute(_CLOSED.encode(), [closed_below]).fetchall()
    if still_open is not None:
        yield f"The table tree_state says that every block below {closed_below} is closed; block {still_open} is open."
    elif leased and first + leased != closed_below:
        yield (
            f"The table tree_state says that every block below {closed_below} is leased; from {first} on {leased} are."
        )


def _shown(hashes: bytes) -> str:
    return f"{len(hashes) // HASH_BYTES} hashes with the SHA-256 {sha256(hashes).hexdigest()}"


def _padded(edge: list[bytes], levels: int = 8) -> list[bytes]:
    return edge + [b""] * (levels - len(edge))
