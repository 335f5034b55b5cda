"""What the rows of a run are as leaves, side by side with the hashes that the tiles hold for them."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from ledger.domain.entry import Event
from ledger.domain.merkle import HASH_BYTES
from ledger.domain.sealing import Run

UNKNOWN = bytes(HASH_BYTES)
"""Stands where no tile holds a leaf's hash."""

type Row = tuple[Event, bytes]
"""An event, and the hash of the leaf that it is."""


class Suspect(NamedTuple):
    """A leaf whose row and tile give different hashes."""

    leaf: int
    event: Event
    row: bytes
    tile: bytes


class Lost(NamedTuple):
    """A leaf without a row; its serial was one of ``serials``."""

    leaf: int
    serials: range


class Alignment(NamedTuple):
    """A run's leaves, by their rows where they have one and by their tiles else, and what is odd about them."""

    hashes: list[bytes]
    suspects: list[Suspect]
    lost: list[Lost]
    extra: list[Event]


def align(run: Run, found: Sequence[Row], held: Sequence[bytes]) -> Alignment:
    """Lay the rows of a run beside the hashes of its leaves, so that one row less or more does not shift the others.

    Rows whose hash a tile holds are where they belong. Between two of them the serials tell which row is which leaf,
    if there are as many serials as leaves; else their order does, if there are as many rows as leaves.

    Args:
        run: the run.
        found: its rows in serial order.
        held: the hash of each of its leaves as the tiles have it, or UNKNOWN.
    """
    place = {leaf: offset for offset, leaf in enumerate(held)}
    result = Alignment(list(held), [], [], [])
    before, serial = -1, run.first_serial - 1
    odd: list[Row] = []
    for event, leaf in found:
        offset = place.get(leaf, -1)
        if offset <= before:
            odd.append((event, leaf))
            continue
        _between(run, odd, range(before + 1, offset), range(serial + 1, event.serial), result)
        before, serial, odd = offset, event.serial, []
    _between(run, odd, range(before + 1, run.leaves), range(serial + 1, run.last_serial + 1), result)
    return result


def _between(run: Run, odd: list[Row], leaves: range, serials: range, result: Alignment) -> None:
    """Assign the rows between two that are certain to the leaves between them."""
    places: list[int | None]
    if len(serials) == len(leaves):
        by_serial = dict(zip(serials, leaves, strict=True))
        places = [by_serial.pop(event.serial, None) for event, _ in odd]
        lost = {offset: range(serial, serial + 1) for serial, offset in by_serial.items()}
    elif len(odd) == len(leaves):
        places, lost = list(leaves), {}
    else:
        places, lost = [None] * len(odd), dict.fromkeys(leaves, serials)
        # The run itself names the serials of its first and its last leaf.
        for end, serial in ((0, run.first_serial), (run.leaves - 1, run.last_serial)):
            if end in lost:
                lost[end] = range(serial, serial + 1)
    result.lost.extend(Lost(run.first_leaf + offset, some) for offset, some in lost.items())
    for (event, leaf), offset in zip(odd, places, strict=True):
        if offset is None:
            result.extra.append(event)
            continue
        if result.hashes[offset] != UNKNOWN:
            result.suspects.append(Suspect(run.first_leaf + offset, event, leaf, result.hashes[offset]))
        result.hashes[offset] = leaf


def serial_of(row: bytes) -> int | None:
    """The serial in a row of ledger.rows that is otherwise no event's; None where it has none."""
    try:
        (number,) = struct.unpack_from("!i", row, 2)
        length, serial = struct.unpack_from("!iq", row, 6 + max(number, 0))
    except struct.error:
        return None
    return int(serial) if length == 8 else None  # noqa: PLR2004  # bytes of a bigint
