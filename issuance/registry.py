"""The allocator's identity in the database and at the fence: how it is made, and put right by an operator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models import Max

from issuance.allocator import check, highest_block
from issuance.domain.errors import FenceError
from issuance.fence import Fence, Mark
from issuance.locks import LEASING
from issuance.models import Allocator, NumberBlock


class Sides(NamedTuple):
    """What both sides say, read while nobody leases."""

    row: tuple[str, str, str] | None
    highest: int | None
    mark: Mark | None


class Diagnosis(NamedTuple):
    """What is the matter (None: nothing), and what may be done about it by machine (None: nothing)."""

    matter: str | None
    plan: str | None


class Registry:
    """Reads and puts right the two sides that must agree: the database, and the fence outside it."""

    def __init__(self, fence: Fence, shard: int, key_fingerprint: str) -> None:
        self._fence = fence
        self._shard = shard
        self._fingerprint = key_fingerprint

    def initialise(self) -> str:
        """Make the allocator where there is none on either side; returns what was done, in words.

        The fence comes first: a crash in between leaves one that never moved, which the next call takes over.

        Raises:
            FenceError: the two sides don't agree.
        """
        with _nobody_leasing():
            sides = self._read()
            start = highest_block(self._shard, None)
            if sides.row is None and (sides.mark is None or self._is_ours(sides.mark, start)):
                identity = uuid4() if sides.mark is None else UUID(sides.mark.allocator)
                if sides.mark is None:
                    self._fence.create(Mark(str(identity), self._shard, self._fingerprint, start))
                self._insert(identity)
                return f"Made allocator {identity}: shard {self._shard}, fence {self._fence}."
            self._check(sides)
            return "The allocator is there, and the fence agrees."

    def diagnose(self) -> Diagnosis:
        """What is the matter, and what ``resolve`` would do about it."""
        return self._diagnose(self._read())

    def _diagnose(self, sides: Sides) -> Diagnosis:
        try:
            self._check(sides)
        except FenceError as error:
            if sides.row is not None and sides.mark is None:
                plan = f"make a fence at block {sides.highest}; do so only if this database was never set back"
                return Diagnosis(str(error), plan)
            return Diagnosis(str(error), None)
        return Diagnosis(None, None)

    def resolve(self) -> str:
        """Do what ``diagnose`` said; returns what was done, in words.

        Raises:
            FenceError: there is nothing that may be done by machine.
        """
        with _nobody_leasing():
            sides = self._read()
            matter, plan = self._diagnose(sides)
            highest = highest_block(self._shard, sides.highest)
            if plan and sides.row:
                self._fence.create(Mark(sides.row[0], self._shard, self._fingerprint, highest))
                return f"Made the fence {self._fence} at block {highest}."
            raise FenceError(matter or "There is nothing to resolve.")

    def _read(self) -> Sides:
        row = Allocator.objects.first()
        return Sides(
            None if row is None else (str(row.id), str(row.shard), bytes(row.key_fingerprint).hex()),
            NumberBlock.objects.aggregate(highest=Max("id"))["highest"],
            self._fence.read(),
        )

    def _check(self, sides: Sides) -> None:
        check(sides.row, sides.highest, sides.mark, (self._shard, self._fingerprint), str(self._fence))

    def _is_ours(self, mark: Mark, highest: int) -> bool:
        return (mark.shard, mark.key_fingerprint, mark.highest_block) == (self._shard, self._fingerprint, highest)

    def _insert(self, identity: UUID) -> None:
        Allocator.objects.create(id=identity, shard=self._shard, key_fingerprint=bytes.fromhex(self._fingerprint))


@contextmanager
def _nobody_leasing() -> Iterator[None]:
    """A transaction in which no writer leases."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", LEASING)
        yield
