"""The tracking number: 16 characters that hold a serial and a route, and show no order.

    PPPPPPPPPPP OO DD C     P  53 bits in Crockford base 32: E(region), 21 bits, then C(offset), 32 bits
                            O  origin, D  destination: ISO 3166-1 alpha-2
                            C  check character over the 15 before it: ISO/IEC 7064 MOD 37,36

A serial is 41 bits, never handed out twice: shard (5), rest of the region (16), offset (20).
"""

import re
from functools import lru_cache
from hashlib import blake2s
from typing import NamedTuple

from issuance.domain.permutation import Feistel, walk
from ledger.domain.form import CROCKFORD, NumberError, check
from ledger.domain.iso7064 import CLOSING, START, advance
from ledger.domain.serial import CAPACITY, SERIAL_BITS

KEY_BYTES = 32

OFFSET_BITS = 20
REGION_BITS = SERIAL_BITS - OFFSET_BITS
CODE_BITS = 32

_REGIONS = 1 << REGION_BITS
_OFFSET_MASK = (1 << OFFSET_BITS) - 1
_CODE_MASK = (1 << CODE_BITS) - 1
_PAIR_MASK = (1 << 10) - 1  # two characters of base 32

_COUNTRY = re.compile("[A-Z]{2}", re.ASCII)
_TO_PYTHON_BASE_32 = str.maketrans(CROCKFORD, "0123456789abcdefghijklmnopqrstuv")

_REGIONS_KEPT = 4  # a process issues from one region, seldom two; each holds 1 MB
_PLACES_KEPT = 4096  # two numbers each; finding one takes 30 µs
_ROUTES_KEPT = 4096  # each holds 36 strings, 2.5 KB


class UnusedCodeError(NumberError):
    """Well-formed, but no serial gives this number under our key: we can't have issued it."""


class Decoded(NamedTuple):
    """What a number holds."""

    serial: int
    origin: str
    destination: str


# Base 32 and the check go two characters at a time, which halves their steps.
_PAIRS = tuple(first + second for first in CROCKFORD for second in CROCKFORD)
_AFTER = tuple(bytes(advance(state, pair) for pair in _PAIRS) for state in range(36))


@lru_cache(maxsize=_ROUTES_KEPT)
def _tails(origin: str, destination: str) -> tuple[str, ...]:
    """The last five characters of a number, by the state of the check before them."""
    for country in (origin, destination):
        if not _COUNTRY.fullmatch(country):
            raise ValueError(f"A country is two letters A-Z, not {country!r}.")
    route = origin + destination
    return tuple(route + CLOSING[advance(state, route)] for state in range(36))


class _Region:
    """The codes of one region, and what its 2**20 numbers have in common."""

    __slots__ = ("codes", "heads")

    def __init__(self, key: bytes, region: int, place: int) -> None:
        self.codes = Feistel(key, width=CODE_BITS, tweak=region, person=b"number-C")
        # 53 bits are one character of 3 bits and ten of 5; the fifth holds the code's top two.
        heads = (_base_32(place << 2 | top) for top in range(4))
        self.heads = tuple((head, advance(START, head)) for head in heads)


def _base_32(value: int) -> str:
    """The first five characters, 23 bits."""
    return CROCKFORD[value >> 20] + _PAIRS[value >> 10 & _PAIR_MASK] + _PAIRS[value & _PAIR_MASK]


class Numbering:
    """Turns serials into numbers and back under one NUMBER_KEY, which may never change once a number is out."""

    def __init__(self, key: bytes) -> None:
        """Take the key, 32 bytes; else ValueError."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"NUMBER_KEY is {KEY_BYTES} bytes, written as {2 * KEY_BYTES} hex digits; got {len(key)}.")
        self._key = key
        self._places = Feistel(key, width=REGION_BITS + 1, tweak=0, person=b"number-E")
        self._region = lru_cache(maxsize=_REGIONS_KEPT)(self._prepare)
        self._region_at = lru_cache(maxsize=_PLACES_KEPT)(self._find)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that tell this key from another without showing it."""
        return blake2s(key=self._key, person=b"number-F", digest_size=8).hexdigest()

    def _prepare(self, region: int) -> _Region:
        return _Region(self._key, region, walk(self._places.forward, region, _REGIONS))

    def _find(self, place: int) -> int:
        return walk(self._places.backward, place, _REGIONS)

    def encode(self, serial: int, origin: str, destination: str) -> str:
        """The number of a serial: 16 characters, another one for each serial whatever the routes.

        Made for serials that come in order: 4 µs each, once some thousands have filled their region's memory. The
        first of a region takes 600.

        Args:
            serial: 0 to CAPACITY - 1, never used before.
            origin: two letters A-Z.
            destination: two letters A-Z.

        Raises:
            ValueError: one of them is not so.
        """
        if serial >> SERIAL_BITS:
            raise ValueError(f"Serials end at {CAPACITY - 1}; {serial} has no number.")
        region = self._region(serial >> OFFSET_BITS)
        code = region.codes.forward(serial & _OFFSET_MASK)
        head, state = region.heads[code >> 30]
        first, second, third = code >> 20 & _PAIR_MASK, code >> 10 & _PAIR_MASK, code & _PAIR_MASK
        state = _AFTER[_AFTER[_AFTER[state][first]][second]][third]
        return f"{head}{_PAIRS[first]}{_PAIRS[second]}{_PAIRS[third]}{_tails(origin, destination)[state]}"

    def decode(self, number: str) -> Decoded:
        """Take a number apart; it must be in its one stored form, in capitals, without spaces or look-alikes.

        The codes are hashed anew each time, 20 µs, so that asking about many numbers can't push the region that is
        being issued from out of memory.

        Raises:
            MalformedNumberError: not of the form.
            CheckCharacterError: the check character does not fit.
            UnusedCodeError: of the form, but not one that this key could have issued.
        """
        check(number)
        payload = int(number[:11].translate(_TO_PYTHON_BASE_32), 32)
        region = self._region_at(payload >> CODE_BITS)
        codes = Feistel(self._key, width=CODE_BITS, tweak=region, person=b"number-C")
        offset = codes.backward(payload & _CODE_MASK)
        if offset >> OFFSET_BITS:
            raise UnusedCodeError("This number is well-formed, but it was never one that this service could issue.")
        return Decoded(region << OFFSET_BITS | offset, number[11:13], number[13:15])
