"""How often a login was tried in vain, and so whether another try is let through; every process counts in one table.

A try is counted before the password is looked at, by one statement, so many at once are not more than one after the
other. Whoever knows a name can make its owner wait, a minute at most: better than a name that can be guessed at.
"""

from typing import Final

from django.db import connection
from django.utils.crypto import salted_hmac

FREE: Final = 5
"""Tries in a row without a wait."""
LONGEST: Final = 60
"""Seconds between two tries at most; the wait doubles up to there."""
_PURPOSE: Final = "core.staff.tries"

_COUNT: Final = f"""
    INSERT INTO staff_try AS t (bucket, tries, tried_at) VALUES (%s, 1, clock_timestamp())
        ON CONFLICT (bucket) DO UPDATE SET tries = least(t.tries + 1, 1000), tried_at = clock_timestamp()
     WHERE t.tries < {FREE}
        OR clock_timestamp() >= t.tried_at + least(2 ^ least(t.tries - {FREE}, 6), {LONGEST}) * interval '1 second'
    RETURNING tries"""  # noqa: S608  # constants


def admit(name: str) -> bool:
    """Count a try, and say whether its password may be looked at."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [_bucket(name)])
        return cursor.fetchone() is not None


def forget(name: str) -> None:
    """Begin anew: this try was right."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE staff_try SET tries = 0 WHERE bucket = %s", [_bucket(name)])


def _bucket(name: str) -> int:
    """Sixteen bits of a keyed hash; names that share them wait together, which does little harm."""
    return int.from_bytes(salted_hmac(_PURPOSE, name, algorithm="sha256").digest()[:2])
