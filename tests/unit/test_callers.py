"""What a process remembers of keys: good and bad ones, for two seconds, never longer than a key lives, and not many."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from django.db import OperationalError

from core.keys.callers import FRESH, Callers
from core.keys.domain import Caller, Scope
from core.keys.store import InvalidKeyError

MOST = 8192
CALLER = Caller(7, frozenset({Scope.AUDIT}), None)


class Database:
    """Knows whose keys are good, counts how often it is asked, and has a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[str] = []
        self.good: dict[str, Caller] = {"good": CALLER}
        self.expires_at: datetime | None = None
        self.takes = 0.0
        self.away = False

    def clock(self) -> float:
        return self.now

    def find(self, text: str) -> tuple[Caller, datetime | None]:
        self.asked.append(text)
        self.now += self.takes
        if self.away:
            raise OperationalError
        if text not in self.good:
            raise InvalidKeyError
        return self.good[text], self.expires_at


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def callers(database: Database) -> Callers:
    return Callers(database.find, database.clock)


@pytest.fixture
def ask(callers: Callers) -> Callable[[str], Caller | None]:
    """Presents a key as a request does; None is a wrong one."""

    def present(text: str) -> Caller | None:
        try:
            return callers.recall(text) or callers.look_up(text)
        except InvalidKeyError:
            return None

    return present


type Ask = Callable[[str], Caller | None]


def test_a_key_costs_one_query_in_two_seconds(database: Database, ask: Ask) -> None:
    for _ in range(100):
        assert ask("good") == CALLER
        database.now += FRESH / 200
    assert database.asked == ["good"]
    database.now += FRESH
    assert ask("good") == CALLER
    assert database.asked == ["good"] * 2


def test_a_wrong_key_costs_no_more(database: Database, ask: Ask) -> None:
    for _ in range(100):
        assert ask("wrong") is None
    assert database.asked == ["wrong"]
    database.now += FRESH
    assert ask("wrong") is None
    assert database.asked == ["wrong"] * 2


def test_a_key_that_is_made_good_or_bad_is_noticed_after_two_seconds(database: Database, ask: Ask) -> None:
    assert FRESH <= 2.0
    assert (ask("good"), ask("new")) == (CALLER, None)
    database.good = {"new": CALLER}
    database.now += FRESH - 0.001
    assert (ask("good"), ask("new")) == (CALLER, None), "for so long it may be remembered"
    database.now += 0.001
    assert (ask("good"), ask("new")) == (None, CALLER), "however often it was presented meanwhile"


def test_the_two_seconds_begin_before_the_database_is_asked(database: Database, ask: Ask) -> None:
    database.takes = 1.5
    assert ask("good") == CALLER
    database.good = {}
    database.now += 0.5
    assert ask("good") is None


class Calendar(datetime):
    """Stands still, while the other clock is moved on by hand."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Calendar":
        return cls(2026, 11, 22, tzinfo=tz)


def test_a_key_that_expires_is_not_remembered_beyond_its_end(
    database: Database, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.keys.callers.datetime", Calendar)
    database.expires_at = Calendar.now(UTC) + timedelta(seconds=1)
    assert ask("good") == CALLER
    database.good = {}
    database.now += 0.9
    assert ask("good") == CALLER
    database.now += 0.1
    assert ask("good") is None


def test_that_the_database_is_away_is_not_remembered(database: Database, callers: Callers, ask: Ask) -> None:
    assert ask("good") == CALLER
    database.away = True
    assert callers.recall("good") == CALLER, "who was known a moment ago still is"
    database.now += FRESH
    for _ in range(2):
        with pytest.raises(OperationalError):
            ask("good")
    database.away = False
    assert ask("good") == CALLER


def test_as_many_keys_are_remembered_as_memory_is_meant_for(database: Database, callers: Callers, ask: Ask) -> None:
    database.good = {f"good {n}": CALLER._replace(id=n + 1) for n in range(MOST)}
    for text in database.good:
        assert ask(text)
    for text in database.good:
        assert callers.recall(text) == database.good[text]
    assert len(database.asked) == MOST
    for n in range(3 * MOST):
        assert ask(f"wrong {n}") is None
        assert len(callers._known) <= MOST
    assert ask("good 5") == CALLER._replace(id=6), "who was crowded out costs one query more, and is let in"


def test_no_key_is_kept_in_memory(callers: Callers, ask: Ask) -> None:
    assert ask("good") == CALLER
    assert ask("wrong") is None
    assert all(isinstance(held, bytes) and len(held) == 32 for held in callers._known)
    assert "good" not in repr(vars(callers)["_known"])


def test_one_key_is_not_taken_for_another(database: Database, ask: Ask) -> None:
    database.good["other"] = CALLER._replace(id=8)
    assert [ask(text) for text in ("good", "other", "good", "other")] == [
        CALLER,
        database.good["other"],
        CALLER,
        database.good["other"],
    ]
