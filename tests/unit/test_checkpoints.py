"""What a process remembers of old checkpoints: never a wrong one, and no more than it may."""

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoints import Checkpoints, Sealed

sizes = st.sets(st.integers(1, 60), min_size=1).map(sorted)
leaves = st.lists(st.integers(0, 70), max_size=200)


def sealed(size: int) -> Sealed:
    return Sealed(size, f"the note of {size}")


@given(sizes, leaves, st.integers(1, 8), st.integers(0, 5))
def test_it_is_the_first_one_over_the_leaf_or_none(history: list[int], asked: list[int], most: int, back: int) -> None:
    known = Checkpoints(most)
    for leaf in asked:
        at = bisect_right(history, leaf)
        found = known.get(leaf)
        if at == len(history):
            assert found is None
            continue
        assert found in {None, sealed(history[at])}
        # The database tells where it begins, or some leaves before this one.
        known.put(max(history[at - 1] if at else 0, leaf - back), sealed(history[at]))
        assert known.get(leaf) == sealed(history[at])
        assert len(known._held) == len(known._sizes) <= most


def test_what_was_needed_last_is_kept() -> None:
    known = Checkpoints(2)
    known.put(0, sealed(10))
    known.put(10, sealed(20))
    assert known.get(5) == sealed(10)
    known.put(20, sealed(30))
    assert [known.get(leaf) for leaf in (5, 15, 25)] == [sealed(10), None, sealed(30)]


def test_more_is_known_of_one_as_earlier_leaves_are_asked_for() -> None:
    known = Checkpoints()
    known.put(50, sealed(100))
    assert known.get(49) is None
    known.put(20, sealed(100))
    known.put(70, sealed(100))
    assert [known.get(leaf) for leaf in (19, 20, 99, 100)] == [None, sealed(100), sealed(100), None]
