"""Where reads go: inside of `ask`, after it, and when something goes wrong on the replica."""

from collections.abc import Generator, Iterator

import pytest

from core import replica
from core.replica import BehindError, Kept, ask, in_use


class Good:
    """A replica in good health, which is told of failures."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []

    def good(self) -> bool:
        return True

    def failed(self, error: Exception) -> None:
        self.failures.append(error)


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> Iterator[Good]:
    made = Good()
    monkeypatch.setattr(replica, "HEALTH", made)
    yield made
    assert not in_use(), "whatever happened, what is read next is read on the primary"


def test_a_read_is_the_replicas_inside_and_the_primarys_outside(health: Good) -> None:
    assert ask(in_use)
    assert ask(lambda: ask(in_use))
    assert not in_use()
    assert not health.failures


@pytest.mark.parametrize("error", [BehindError(), ValueError("not there")])
def test_what_fails_on_the_replica_is_asked_of_the_primary(error: Exception, health: Good) -> None:
    def read() -> str:
        if in_use():
            raise error
        return "found"

    assert ask(read) == "found"
    assert health.failures == [error]


def test_what_fails_on_both_fails_as_on_the_primary(health: Good) -> None:
    def read() -> None:
        raise ValueError("replica" if in_use() else "primary")

    with pytest.raises(ValueError, match="primary"):
        ask(read)
    assert len(health.failures) == 1


def test_what_is_made_bit_by_bit_is_read_where_it_was_begun_and_nothing_else_is(health: Good) -> None:
    ended = []

    def making() -> Generator[bool]:
        try:
            while True:
                yield in_use()
        finally:
            ended.append(in_use())

    def begin() -> Kept[bool]:
        made = making()
        next(made)
        return Kept(made)

    kept = ask(begin)
    assert [next(kept), in_use(), next(kept)] == [True, False, True]
    kept.close()
    assert len(ended) == 1
    assert not health.failures
