"""What a closed day's report says, and what corrects it: canonical JSON (RFC 8785), known by its SHA-256.

Whoever was given a report can keep its digest, and see later that it is still the same. Version 1 may never change.
"""

from datetime import date
from hashlib import sha256
from typing import NamedTuple

import msgspec

VERSION = 1


class Count(NamedTuple):
    """How many numbers: of one route (ISO 3166-1 alpha-2 codes) and one weight band (its code)."""

    origin: str
    destination: str
    weight_band: int
    numbers: int


# The members of the objects stand in the order that RFC 8785 sorts them into; msgspec keeps it.
class _Count(msgspec.Struct):
    count: int
    destination: str
    origin: str
    weight_band: int


class _Report(msgspec.Struct):
    counts: list[_Count]
    day: str
    origin: str
    root: str
    signature: str | None
    size: int
    time_zone: str
    total: int
    type: str
    version: int


class _Correction(msgspec.Struct):
    counts: list[_Count]
    day: str
    end_leaf: int
    first_leaf: int
    time_zone: str
    total: int
    type: str
    version: int


_json = msgspec.json.Encoder().encode


class Report(NamedTuple):
    """All that the ledger held of a day when the log's tree had ``size`` leaves.

    Attributes:
        day: the day.
        time_zone: whose day it is, by its IANA name.
        origin: the log's name, as its checkpoints have it.
        size: leaves of the tree.
        root: its root hash, 32 bytes.
        signature: of its checkpoint: Ed25519, 64 bytes; None for a tree without leaves.
        counts: in order of route and weight band; what has no number is left out.
    """

    day: date
    time_zone: str
    origin: str
    size: int
    root: bytes
    signature: bytes | None
    counts: tuple[Count, ...]

    @property
    def total(self) -> int:
        """All numbers of the day."""
        return sum(each.numbers for each in self.counts)

    @property
    def document(self) -> bytes:
        """The report in canonical JSON; hashes and signatures are in lower-case hex."""
        signature = None if self.signature is None else self.signature.hex()
        return _json(
            _Report(
                *(_counts(self.counts), self.day.isoformat(), self.origin, self.root.hex(), signature, self.size),
                *(self.time_zone, self.total, "daily-report", VERSION),
            )
        )

    @property
    def digest(self) -> bytes:
        """SHA-256 of the document."""
        return sha256(self.document).digest()


class Correction(NamedTuple):
    """What the leaves ``first_leaf`` to ``end_leaf - 1`` add to a day whose report was written before them."""

    day: date
    time_zone: str
    first_leaf: int
    end_leaf: int
    counts: tuple[Count, ...]

    @property
    def total(self) -> int:
        """All numbers that are added."""
        return sum(each.numbers for each in self.counts)

    @property
    def document(self) -> bytes:
        """The correction in canonical JSON."""
        return _json(
            _Correction(
                *(_counts(self.counts), self.day.isoformat(), self.end_leaf, self.first_leaf, self.time_zone),
                *(self.total, "daily-correction", VERSION),
            )
        )

    @property
    def digest(self) -> bytes:
        """SHA-256 of the document."""
        return sha256(self.document).digest()


def _counts(counts: tuple[Count, ...]) -> list[_Count]:
    return [_Count(each.numbers, each.destination, each.origin, each.weight_band) for each in counts]
