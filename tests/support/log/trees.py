"""One tree of 5,000 leaves at each of its sizes: grown by our code, and hashed as RFC 6962 writes it."""

from functools import cache
from hashlib import sha256
from typing import NamedTuple

from hypothesis import strategies as st

from ledger.domain.growth import Growth
from ledger.domain.tiles import Place

LARGEST = 5_000
LEAVES = [sha256(b"\x00entry %d" % number).digest() for number in range(LARGEST)]

sizes = st.integers(1, LARGEST)
leaves_of_a_tree = sizes.flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size)))
"""The index of a leaf, and the size of the tree."""
pairs_of_sizes = sizes.flatmap(lambda new: st.tuples(st.integers(1, new), st.just(new)))
"""The size of a tree, and of one that it grew to."""


def split(size: int) -> int:
    """The k of RFC 6962, section 2.1: the power of two with k < n <= 2k."""
    k = 1
    while 2 * k < size:
        k *= 2
    return k


@cache
def mth(begin: int, end: int) -> bytes:
    """MTH(D[begin:end]) of RFC 6962, section 2.1, from its definition alone."""
    if begin == end:
        return sha256(b"").digest()
    if end - begin == 1:
        return LEAVES[begin]
    k = split(end - begin)
    return sha256(b"\x01" + mth(begin, begin + k) + mth(begin + k, end)).digest()


def rfc_path(index: int, begin: int, end: int) -> list[bytes]:
    """PATH(m, D[n]) as RFC 6962, section 2.1.1, writes it."""
    if end - begin == 1:
        return []
    k = split(end - begin)
    if index < k:
        return [*rfc_path(index, begin, begin + k), mth(begin + k, end)]
    return [*rfc_path(index - k, begin + k, end), mth(begin, begin + k)]


def rfc_subproof(old: int, begin: int, end: int, *, known: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b) as RFC 6962, section 2.1.2, writes it."""
    if old == end - begin:
        return [] if known else [mth(begin, end)]
    k = split(end - begin)
    if old <= k:
        return [*rfc_subproof(old, begin, begin + k, known=known), mth(begin + k, end)]
    return [*rfc_subproof(old - k, begin + k, end, known=False), mth(begin, begin + k)]


class Full(NamedTuple):
    """A full tile that Growth gave out, and the size of the tree at that moment."""

    size: int
    place: Place
    data: bytes


ROOTS: list[bytes] = []
"""By size."""
EDGES: list[list[bytes]] = []
"""By size."""
FULL: list[Full] = []
"""In the order in which Growth gave them out."""


def _grow() -> None:
    growth = Growth()
    for size, leaf in enumerate(LEAVES):
        ROOTS.append(growth.root)
        EDGES.append(growth.edge)
        FULL.extend(Full(size + 1, place, data) for place, data in growth.extend([leaf]))
    ROOTS.append(growth.root)
    EDGES.append(growth.edge)


_grow()


def tiles_at(size: int) -> dict[Place, bytes]:
    """All tiles of the tree of a size: the full ones that Growth gave out by then, and its partial ones."""
    held = {place: data for born, place, data in FULL if born <= size}
    partial = {Place(level, size >> 8 * (level + 1)): data for level, data in enumerate(EDGES[size]) if data}
    return held | partial
