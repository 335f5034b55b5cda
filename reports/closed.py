"""Closed days: the reports that were written of them, byte for byte, and what was sealed too late for these."""

from datetime import date
from hashlib import sha256
from typing import Final, NamedTuple

from core.replica import connection
from ledger.log import LogError

_REPORT: Final = "SELECT document, digest FROM daily_report WHERE day = %s"
_CORRECTIONS: Final = "SELECT document, digest, total FROM daily_correction WHERE day = %s ORDER BY first_leaf"


class Correction(NamedTuple):
    """What is added to a report.

    Attributes:
        document: reports.domain.document says what is in it.
        digest: its SHA-256.
        total: the numbers that are added.
    """

    document: bytes
    digest: bytes
    total: int


def report(day: date) -> bytes | None:
    """The report of a day (reports.domain.document); None where none is written yet.

    Raises:
        LogError: it is not what its digest says.
        django.db.DatabaseError: that can't be told at present.
    """
    with connection().cursor() as cursor:
        cursor.execute(_REPORT, [day])
        found = cursor.fetchone()
    return None if found is None else checked(day, *found)


def corrections(day: date) -> list[Correction]:
    """What corrects the report of a day, in leaf order: nothing where there is no report. Raises as ``report`` does."""
    with connection().cursor() as cursor:
        cursor.execute(_CORRECTIONS, [day])
        found = cursor.fetchall()
    return [Correction(checked(day, document, digest), bytes(digest), total) for document, digest, total in found]


def checked(day: date, document: str, digest: bytes) -> bytes:
    """A document, if it is the one that its digest is of; else raises LogError."""
    text = document.encode()
    if sha256(text).digest() != bytes(digest):
        raise LogError(f"A document of {day} is not the one that its digest is of.")
    return text
