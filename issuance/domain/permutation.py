"""Keyed permutations of small integers, so that numbers do not show the order they were issued in.

A balanced Feistel network (Luby and Rackoff 1988) with keyed BLAKE2s (RFC 7693) as its round function:

    word(r, h) = 16-bit word h mod 16 (little-endian, cut to half the width) of
                 BLAKE2s-256(h div 16 as 2 bytes, key=key, salt=tweak as 4 bytes | r as 4 bytes, person=person)
    round r:     left, right = right, left XOR word(r, right)

It hides order; it authenticates nobody. What it computes may never change once a number is out.
"""

import sys
from array import array
from collections.abc import Callable
from functools import cached_property
from hashlib import blake2s

ROUNDS = 8
"""Four hide the order from whoever sees every pair (Luby and Rackoff); two more than eight would cost 0.5 µs."""

WIDTHS = range(8, 33, 2)

_HASHED_AT_ONCE = 16  # digests, so 256 words: all of a region's in 30 ms, where one digest at a time takes 160


class Feistel:
    """A permutation of the integers below ``2**width``.

    ``forward`` is made for many values near each other: it keeps the words it has hashed, 1 MB for 32 bits, so that a
    round costs one look-up. ``backward`` is made for one value now and then: it hashes in each round and keeps nothing.
    """

    def __init__(self, key: bytes, *, width: int, tweak: int, person: bytes) -> None:
        """Choose one permutation.

        Args:
            key: at most 32 bytes.
            width: bits, one of WIDTHS.
            tweak: below 2**32; each gives a permutation of its own under the same key.
            person: at most 8 bytes that keep this use of the key apart from others.
        """
        if width not in WIDTHS:
            raise ValueError(f"The width is an even number of bits from {WIDTHS[0]} to {WIDTHS[-1]}, not {width}.")
        self._width = width
        self._half = width // 2
        self._mask = (1 << self._half) - 1
        self._rounds = tuple(
            blake2s(key=key, salt=tweak.to_bytes(4) + number.to_bytes(4), person=person) for number in range(ROUNDS)
        )

    def forward(self, value: int) -> int:
        """The place that ``value`` is sent to. Both are below ``2**width``; else ValueError."""
        if value >> self._width:
            raise ValueError(f"{value} does not fit into {self._width} bits.")
        left, right = value >> self._half, value & self._mask
        for words, state in self._tables:
            word = words[right]
            if not word:
                self._fill(words, state, right)
                word = words[right]
            left, right = right, left ^ word
        return left << self._half | right

    def backward(self, place: int) -> int:
        """The value that ``forward`` sends to ``place``. Both are below ``2**width``; else ValueError."""
        if place >> self._width:
            raise ValueError(f"{place} does not fit into {self._width} bits.")
        left, right = place >> self._half, place & self._mask
        for state in reversed(self._rounds):
            at = 2 * (left & 15)
            word = int.from_bytes(_digest(state, left >> 4)[at : at + 2], "little") & self._mask
            left, right = right ^ word, left
        return left << self._half | right

    @cached_property
    def _tables(self) -> "tuple[tuple[array[int], blake2s], ...]":
        """For each round the words by half, and what hashes them.

        0 stands for a word not hashed yet. One that is 0, 1 in 65,536, is hashed whenever it is met.
        """
        return tuple((array("H", bytes(2 << self._half)), state) for state in self._rounds)

    def _fill(self, words: "array[int]", state: blake2s, half: int) -> None:
        """Hash the words around ``half``. Two threads that meet here write the same."""
        first = half >> 4 & -_HASHED_AT_ONCE
        chunks = range(first, min(first + _HASHED_AT_ONCE, len(words) >> 4))
        hashed = array("H", b"".join([_digest(state, chunk) for chunk in chunks]))
        if sys.byteorder == "big":
            hashed.byteswap()
        if self._width < WIDTHS[-1]:
            hashed = array("H", [word & self._mask for word in hashed])
        words[first << 4 : (first << 4) + len(hashed)] = hashed


def _digest(state: blake2s, chunk: int) -> bytes:
    """A round's words, not cut yet, for the sixteen halves from ``16 * chunk`` on."""
    state = state.copy()
    state.update(chunk.to_bytes(2))
    return state.digest()


def walk(step: Callable[[int], int], value: int, limit: int) -> int:
    """Restrict a permutation to the integers below ``limit``: take its step until it lands there.

    Cycle-walking (Black and Rogaway 2002). It ends, because the cycle through ``value`` comes back to ``value``,
    which must be below ``limit``; else ValueError.
    """
    if not 0 <= value < limit:
        raise ValueError(f"{value} is not within 0 to {limit - 1}.")
    value = step(value)
    while value >= limit:
        value = step(value)
    return value
