"""How long a try to log in must wait for the one before it."""

import pytest
from django.db import connection

from core.staff import tries
from tests.plugin import Database
from tests.support.processes.proc import eventually


def before(count: int, seconds: int) -> None:
    """So many tries in vain, the last so many seconds ago."""
    tries.forget("ada")
    tries.admit("ada")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE staff_try SET tries = %s, tried_at = clock_timestamp() - %s * interval '1 s'", [count, seconds]
        )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("count", "seconds", "admitted"),
    [
        *((count, 0, True) for count in range(tries.FREE)),
        (8, 0, False),
        (8, 9, True),
        (10, 20, False),
        (10, 33, True),
        (11, 30, False),
        (11, 61, True),
        (1000, 30, False),
        (1000, 61, True),
    ],
)
def test_the_wait_doubles_after_five_tries_up_to_a_minute(
    database: Database, count: int, seconds: int, *, admitted: bool
) -> None:
    assert database

    def admits() -> bool:
        before(count, seconds)
        return tries.admit("ada")

    assert eventually(lambda: admits() == admitted), "at the first go, unless the machine has slept in between"
    assert tries.admit("somebody else"), "others don't wait"


@pytest.mark.django_db
def test_a_try_that_was_right_ends_the_wait(database: Database) -> None:
    assert database
    before(11, 0)
    assert not tries.admit("ada")
    tries.forget("ada")
    assert [tries.admit("ada") for _ in range(tries.FREE)] == [True] * tries.FREE
