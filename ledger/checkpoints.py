"""The first checkpoint over a leaf: from memory, or from the database in one statement."""

import threading
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from ledger import log, reading
from ledger.domain import tiles
from ledger.domain.merkle import Range
from ledger.domain.note import VerifierKey
from ledger.log import Connection, LogError

_WINDOWS = (2_048, 16_384, 131_072)
"""Leaves after a given one within which its checkpoint is looked for, one after the other.

A checkpoint adds two thousand leaves at most where there are less than 8,000 issuances a second. The last window holds
the most that a sealer's tick takes.
"""
_WITHIN = """
                   (SELECT size, signature FROM checkpoint
                     WHERE size > o.leaf AND size <= {end} ORDER BY size LIMIT 1)"""
_FIRST_CHECKPOINT = "\n                    UNION ALL".join(
    _WITHIN.format(end=end) for end in (*(f"o.leaf + {window}" for window in _WINDOWS), "s.published_size")
)
"""``size`` has but a block range index, so `size > leaf ORDER BY size` would read every later checkpoint there is.

A window costs as much as it holds, and is opened only if those before it are empty; each begins at the leaf, so the
answer is the same whichever gives it. A new log goes on with the leaves of the one before, whose checkpoints end with
``log_begin``.
"""
# The first checkpoint over a leaf, the first leaf that it is known to be the first over, and the tiles of its root.
_SEALED = f"""
    SELECT c.size, c.signature,
           coalesce((SELECT max(size) FROM checkpoint WHERE size > p.leaf - {_WINDOWS[0]} AND size <= p.leaf),
                    greatest(p.leaf - {_WINDOWS[0]}, 0)),
           ARRAY(SELECT substr(coalesce(t.hashes,
                                        CASE WHEN s.size >> 8 * (l + 1) = c.size >> 8 * (l + 1) THEN s.edge[l + 1] END),
                               1, (c.size >> 8 * l & 255)::integer * 32)
                   FROM generate_series(0, 7) AS l
                   LEFT JOIN tile t ON t.level = l AND t.position = c.size >> 8 * (l + 1)
                  WHERE c.size >> 8 * l & 255 > 0 ORDER BY l)
      FROM tree_state s
     CROSS JOIN (SELECT %s::bigint AS leaf OFFSET 0) p
     CROSS JOIN LATERAL (SELECT greatest(p.leaf, s.log_begin) AS leaf OFFSET 0) o
      LEFT JOIN LATERAL ({_FIRST_CHECKPOINT}
                    LIMIT 1) c ON true""".encode()  # noqa: S608  # constants


class Sealed(NamedTuple):
    """The first published checkpoint whose tree has a leaf."""

    size: int
    checkpoint: str
    """The signed note."""


class Checkpoints:
    """Those of one log that were read lately, by the leaves that each is the first over; for any number of threads.

    Sizes only grow, so no checkpoint ever comes between two that are there: what was the first over a leaf stays it.
    """

    def __init__(self, most: int = 4_096) -> None:
        self._most = most
        self._held: OrderedDict[int, tuple[int, str]] = OrderedDict()  # by size: first leaf, note
        self._sizes: list[int] = []
        self._lock = threading.Lock()

    def get(self, leaf: int) -> Sealed | None:
        """The first checkpoint over a leaf, if that is known."""
        with self._lock:
            at = bisect_right(self._sizes, leaf)
            if at == len(self._sizes):
                return None
            size = self._sizes[at]
            begin, note = self._held[size]
            if leaf < begin:
                return None
            self._held.move_to_end(size)
        return Sealed(size, note)

    def put(self, begin: int, sealed: Sealed) -> None:
        """Hold the first one over the leaves from ``begin`` on, and let go of what was not needed for longest."""
        with self._lock:
            if sealed.size in self._held:
                begin = min(begin, self._held[sealed.size][0])
            else:
                insort(self._sizes, sealed.size)
            self._held[sealed.size] = begin, sealed.checkpoint
            self._held.move_to_end(sealed.size)
            if len(self._held) > self._most:
                size, _ = self._held.popitem(last=False)
                del self._sizes[bisect_left(self._sizes, size)]


def first_over(connection: Connection, key: VerifierKey, leaf: int, known: Checkpoints) -> Sealed:
    """The first checkpoint over a leaf that is published; its signature was found to be good.

    Raises:
        LogError, ValueError: there is none, or tiles and signature don't fit together.
    """
    return known.get(leaf) or verified(key, leaf, log.planned_once(connection, _SEALED, [leaf]), known)


def verified(key: VerifierKey, leaf: int, row: Sequence[Any], known: Checkpoints) -> Sealed:
    """The same of what was read: size, signature, the first leaf that it is over, the tiles of its root."""
    size, signature, begin, hashes = row
    if size is None:
        raise LogError(f"No checkpoint of {leaf + 1} leaves or more is there, though that many are published.")
    parts = tiles.growing(size)  # of which the root is made
    held = log.found_tiles(parts, ((*tile.place, each) for tile, each in zip(parts, hashes, strict=True)))
    (root,) = tiles.hashes([Range(0, size)], held)
    _, note = reading.verified(key, size, root, signature)
    found = Sealed(size, note)
    known.put(begin, found)
    return found
