"""Merkle trees as RFC 6962, section 2.1 defines them: hashes, and the proofs that two numbers and some hashes hold up.

``D[n]`` is the list of the first n leaves, ``MTH`` its tree hash. A proof is a list of ranges of leaves whose hashes
the verifier needs; where the hashes are kept is not this module's business (ledger.domain.tiles).
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""


class ProofError(ValueError):
    """A proof does not show what it claims."""


class Range(NamedTuple):
    """The leaves from ``begin`` to ``end - 1``, whose hash is MTH(D[begin:end])."""

    begin: int
    end: int


class Node(NamedTuple):
    """The root of a full subtree: the ``position``-th group of ``2**level`` leaves."""

    level: int
    position: int


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf, 32 bytes: SHA-256 of 0x00 and the entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node, 32 bytes: SHA-256 of 0x01 and both children."""
    return sha256(b"\x01" + left + right).digest()


def parents(row: Sequence[bytes]) -> list[bytes]:
    """The nodes above an even number of hashes: ``node_hash`` of each pair, without a call for each."""
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash of a range from those of its full subtrees, left to right; of none, the empty tree's."""
    if not hashes:
        return EMPTY_ROOT
    *rest, result = hashes
    for left in reversed(rest):
        result = node_hash(left, result)
    return result


def nodes(leaves: Range) -> list[Node]:
    """The full subtrees that make up a range, left to right, each as large as possible.

    The range is one of those that a tree hash divides into: its begin is a multiple of the largest power of two
    that fits in it.
    """
    found = []
    begin, end = leaves
    while begin < end:
        level = (end - begin).bit_length() - 1
        found.append(Node(level, begin >> level))
        begin += 1 << level
    return found


def _split(count: int) -> int:
    """The largest power of two smaller than ``count``: where RFC 6962 divides a tree in two."""
    return 1 << (count - 1).bit_length() - 1


def inclusion_path(index: int, size: int) -> list[Range]:
    """PATH(index, D[size]) of RFC 6962, section 2.1.1, as ranges, from the leaf upwards.

    Raises:
        ValueError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"A tree of {size} leaves has no leaf {index}.")
    path, begin, end = [], 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(Range(middle, end))
            end = middle
        else:
            path.append(Range(begin, middle))
            begin = middle
    return path[::-1]


def consistency_path(old: int, new: int) -> list[Range]:
    """PROOF(old, D[new]) of RFC 6962, section 2.1.2, as ranges.

    Raises:
        ValueError: not 0 < old <= new.
    """
    if not 0 < old <= new:
        raise ValueError(f"There is no consistency proof from size {old} to {new}.")
    path, begin, end = [], 0, new
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(Range(middle, end))
            end = middle
        else:
            path.append(Range(begin, middle))
            begin = middle
    # Without a begin the old tree is a subtree as a whole, and the verifier has its root.
    return [*([Range(begin, end)] if begin else []), *path[::-1]]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf with hash ``leaf`` is leaf ``index`` of the tree (RFC 9162, section 2.1.3.2).

    Args:
        index: of the leaf, from 0.
        size: leaves in the tree.
        leaf: its leaf hash, 32 bytes.
        proof: hashes from the leaf upwards.
        root: the tree's.

    Raises:
        ProofError: it is not, or the proof is not its proof.
    """
    if not 0 <= index < size:
        raise ProofError(f"A tree of {size} leaves has no leaf {index}.")
    _check_lengths((leaf, *proof))
    result = leaf
    for step, left in _climb(index, size - 1, proof):
        result = node_hash(step, result) if left else node_hash(result, step)
    if result != root:
        raise ProofError("The leaf is not in the tree at this place, or it is another leaf, or another tree.")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of ``new`` leaves begins with that of ``old`` (RFC 9162, section 2.1.4.2).

    Raises:
        ProofError: it does not, or the proof does not show it.
    """
    if not 0 < old <= new:
        raise ProofError(f"There is no consistency proof from size {old} to {new}.")
    _check_lengths(proof)
    if old == new:
        if proof or old_root != new_root:
            raise ProofError("Trees of one size are consistent only if they are the same.")
        return
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    # An old tree that is a full subtree of the new one starts the walk itself.
    steps = list(proof) if position else [old_root, *proof]
    if not steps:
        raise ProofError("The proof is too short.")
    before = after = steps[0]
    for step, left in _climb(position, last, steps[1:]):
        before = node_hash(step, before) if left else before
        after = node_hash(step, after) if left else node_hash(after, step)
    if before != old_root:
        raise ProofError("The proof does not lead to the old root.")
    if after != new_root:
        raise ProofError("The new tree does not begin with the old one.")


def _climb(position: int, last: int, steps: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each hash on the way up from a node to the root, and whether it is a left sibling.

    Args:
        position: the node's, on its level.
        last: the position of the level's last node.
        steps: the hashes.

    Raises:
        ProofError: there are too many, or too few.
    """
    for step in steps:
        if not last:
            raise ProofError("The proof is too long.")
        left = bool(position & 1) or position == last
        while left and position and not position & 1:
            # Alone on the right edge: it is its parent too, and needs no hash for that.
            position, last = position >> 1, last >> 1
        yield step, left
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("The proof is too short.")


def _check_lengths(hashes: Iterable[bytes]) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise ProofError(f"A hash has {HASH_BYTES} bytes.")
