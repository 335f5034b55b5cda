"""Finds events that were put into the ledger around the service: of serials never leased, or under others' numbers."""

from collections.abc import Sequence
from typing import Final

from issuance.domain.number import Numbering
from ledger.domain.form import NumberError
from ledger.domain.serial import block_of
from ledger.log import Connection

MOST_FAULTS: Final = 20
"""Those that are named; the others are counted."""

_STRAYS: Final = "SELECT serial, number FROM issuance_event WHERE serial BETWEEN %s AND %s ORDER BY serial LIMIT %s"
_COUNT: Final = "SELECT count(*) FROM issuance_event WHERE serial BETWEEN %s AND %s"
_LEASED: Final = "SELECT FROM number_block WHERE id = %s"


class Faults:
    """What is wrong: how much, and the first of it in sentences."""

    def __init__(self) -> None:
        self.wrong = 0
        self._named: list[str] = []

    @property
    def full(self) -> bool:
        """Whether another one would not be named."""
        return len(self._named) == MOST_FAULTS

    def add(self, sentence: str) -> None:
        """Note one."""
        self.wrong += 1
        if not self.full:
            self._named.append(sentence)

    def add_unnamed(self, count: int) -> None:
        """Note some more."""
        self.wrong += count

    def sentences(self) -> list[str]:
        """What to tell."""
        unnamed = self.wrong - len(self._named)
        return [*self._named, f"{unnamed:,} more are not named."] if unnamed else list(self._named)


class Misplaced:
    """Looks at the events of serials, in the transaction of whoever asks."""

    def __init__(self, connection: Connection, numbering: Numbering, faults: Faults) -> None:
        """Look by the NUMBER_KEY of the database, and note what is found in ``faults``."""
        self._connection = connection
        self._numbering = numbering
        self._faults = faults

    def check(self, serials: Sequence[int], numbers: Sequence[str]) -> None:
        """Compare numbers with those that their serials have."""
        encode = self._numbering.encode
        for serial, number in zip(serials, numbers, strict=True):
            try:
                right = encode(serial, number[11:13], number[13:15])
            except ValueError:
                right = None  # there is no route in it
            if number != right:
                if self._faults.full:
                    self._faults.add_unnamed(1)
                else:
                    self._faults.add(f"Number {number} stands at serial {serial}, and {self._meaning(number)}.")

    def strays(self, first: int, last: int) -> None:
        """Name the events from serial ``first`` to ``last``, none of which was leased."""
        found = self._connection.execute(_STRAYS, [first, last, MOST_FAULTS]).fetchall()
        for serial, number in found:
            self._faults.add(
                f"Number {number} (serial {serial}) lies in block {block_of(serial)}, which was never leased."
            )
        if len(found) == MOST_FAULTS:
            ((count,),) = self._connection.execute(_COUNT, [first, last]).fetchall()
            self._faults.add_unnamed(count - len(found))

    def _meaning(self, number: str) -> str:
        try:
            serial = self._numbering.decode(number).serial
        except NumberError:
            return "is none that NUMBER_KEY gives"
        leased = self._connection.execute(_LEASED, [block_of(serial)]).rowcount
        where = "" if leased else f" in block {block_of(serial)}, which was never leased"
        return f"is that of serial {serial}{where}"
