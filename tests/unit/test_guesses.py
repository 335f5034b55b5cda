"""Wrong keys of one address: so many a minute in each process, and in all of them together where they share a store."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError

from core.keys.callers import FRESH, Callers
from core.keys.domain import Caller, Scope
from core.keys.store import InvalidKeyError
from core.throttle.guesses import Guesses, TooManyGuessesError

QUOTA = 20
CALLER = Caller(7, frozenset({Scope.AUDIT}), None)
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guesses(clock: Clock) -> Guesses:
    return Guesses(QUOTA, lambda: None, clock)


@pytest.fixture
def asked() -> list[str]:
    """The keys that the database was asked about."""
    return []


@pytest.fixture
def callers(clock: Clock, guesses: Guesses, asked: list[str]) -> Callers:
    def find(text: str) -> tuple[Caller, None]:
        asked.append(text)
        if "away" in text:
            raise OperationalError
        if "good" not in text:
            raise InvalidKeyError
        return CALLER, None

    return Callers(find, clock, guesses)


@pytest.fixture
def ask(callers: Callers) -> Callable[[str, str], str]:
    """Presents a key as a request does, and says what that comes to."""

    def present(text: str, address: str) -> str:
        try:
            assert (callers.recall(text) or callers.look_up(text, address=address)) == CALLER
        except InvalidKeyError:
            return "wrong"
        except TooManyGuessesError as error:
            return "wait" if 1 <= error.seconds <= 3 else f"wait {error.seconds} s"
        except OperationalError:
            return "away"
        return "good"

    return present


type Present = Callable[[str, str], str]


def test_after_twenty_wrong_keys_no_other_is_looked_at(ask: Present, asked: list[str], guesses: Guesses) -> None:
    assert [ask(f"wrong {n}", HERE) for n in range(25)] == ["wrong"] * QUOTA + ["wait"] * 5
    assert len(asked) == QUOTA
    assert guesses.refused == 5
    assert ask("good, but never seen", HERE) == "wait"
    assert ask("wrong elsewhere", ELSEWHERE) == "wrong"


def test_a_key_that_was_good_here_is_let_through_however_long_ago(ask: Present, clock: Clock) -> None:
    assert ask("good", HERE) == "good"
    clock.now += 3600
    assert {ask(f"wrong {n}", HERE) for n in range(QUOTA + 1)} == {"wrong", "wait"}
    assert ask("good", HERE) == "good"
    clock.now += FRESH
    assert ask("good", HERE) == "good"


def test_the_same_wrong_key_again_is_no_new_guess(ask: Present, clock: Clock) -> None:
    for _ in range(10 * QUOTA):
        assert ask("wrong", HERE) == "wrong"
        clock.now += FRESH / 10
    assert [ask(f"wrong {n}", HERE) for n in range(QUOTA)] == ["wrong"] * QUOTA


def test_good_keys_and_those_that_could_not_be_looked_up_are_no_guesses(ask: Present) -> None:
    assert {ask(f"good {n}", HERE) for n in range(10 * QUOTA)} == {"good"}
    assert {ask(f"away {n}", HERE) for n in range(10 * QUOTA)} == {"away"}
    assert [ask(f"wrong {n}", HERE) for n in range(QUOTA + 1)] == ["wrong"] * QUOTA + ["wait"]


def test_three_seconds_later_there_is_another_try(ask: Present, clock: Clock) -> None:
    assert {ask(f"wrong {n}", HERE) for n in range(QUOTA + 1)} == {"wrong", "wait"}
    clock.now += 3
    assert [ask(f"wrong again {n}", HERE) for n in range(2)] == ["wrong", "wait"]


def test_many_at_once_are_not_more_than_one_after_the_other(guesses: Guesses) -> None:
    together = threading.Barrier(8)

    def guess(_: int) -> int:
        together.wait()
        admitted = 0
        for _ in range(QUOTA):
            try:
                guesses.admit(HERE)
            except TooManyGuessesError:
                continue
            admitted += 1
        return admitted

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(guess, range(8))) == QUOTA


def test_without_a_limit_all_are_looked_at(clock: Clock) -> None:
    guesses = Guesses(0, lambda: None, clock)
    for _ in range(10 * QUOTA):
        guesses.admit(HERE)
    assert guesses.refused == 0


def test_memory_does_not_grow_with_addresses(guesses: Guesses) -> None:
    def addresses() -> Iterator[str]:
        return (f"2001:db8:{n // 65536:x}:{n % 65536:x}::/64" for n in range(20_000))

    for address in addresses():
        guesses.admit(address)
    assert len(guesses._levels) <= 8192
