"""A tree grows the same whatever the steps and wherever it is taken up, and gives each full tile out once."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain import tiles
from ledger.domain.growth import Growth
from ledger.domain.merkle import EMPTY_ROOT, Range, node_hash
from ledger.domain.tiles import Place
from tests.support.log.trees import EDGES, FULL, LARGEST, LEAVES, ROOTS, mth, pairs_of_sizes, sizes

# Where a tile or a level begins or ends, and beside it.
CORNERS = [0, 1, 2, 255, 256, 257, 511, 512, 513, 4095, 4096, 4097, 4999, 5000]
resumed = pairs_of_sizes | st.sampled_from([(old, new) for old in CORNERS for new in CORNERS if old <= new])


def given_out(begin: int, end: int) -> list[tuple[Place, bytes]]:
    """The tiles that leaf by leaf became full above one size, up to another."""
    return [(place, data) for size, place, data in FULL if begin < size <= end]


def test_a_tree_has_at_every_size_the_root_that_the_rfc_defines() -> None:
    assert [mth(0, size) for size in range(LARGEST + 1)] == ROOTS


def test_the_empty_tree_has_no_edge_and_no_tiles() -> None:
    growth = Growth()
    assert (growth.size, growth.edge, growth.root) == (0, [], EMPTY_ROOT)
    assert growth.extend([]) == []
    assert (growth.size, growth.edge, growth.root) == (0, [], EMPTY_ROOT)


def test_the_edge_is_the_hashes_of_the_partial_tiles() -> None:
    for size in range(LARGEST + 1):
        levels = len(EDGES[size])
        assert 256**levels > size >= (256 ** (levels - 1) if levels else 0)  # up to the level of the top hash
        for level, data in enumerate(EDGES[size]):
            # MTH(D[(n * 256 + i) * 256**l : (n * 256 + i + 1) * 256**l]) of tlog-tiles, for those after the last tile.
            span = 256**level
            first = size // (256 * span) * 256
            assert tiles.split(data) == [mth(at * span, (at + 1) * span) for at in range(first, size // span)]


def test_each_full_tile_is_given_out_once_when_its_last_leaf_comes() -> None:
    assert [(size, place) for size, place, _ in FULL] == [
        (256 * (position + 1), Place(0, position)) for position in range(LARGEST // 256)
    ]
    for _, (_, position), data in FULL:
        assert data == b"".join(LEAVES[256 * position : 256 * (position + 1)])


def test_a_tree_of_three_levels_gives_out_lower_tiles_before_those_that_they_complete() -> None:
    growth = Growth()
    leaves = (LEAVES[number % LARGEST] for number in range(70_000))
    full = growth.extend(leaves)
    places = [place for place, _ in full]
    # tlog-tiles: a tree of size 70,000 has 273 full tiles on level 0 and one on level 1.
    assert sorted(places) == [*(Place(0, position) for position in range(273)), Place(1, 0)]
    assert places.index(Place(1, 0)) == places.index(Place(0, 255)) + 1
    assert all(one < other for one, other in pairwise(place for place in places if place.level == 0))
    assert [len(data) // 32 for data in growth.edge] == [112, 17, 1]
    assert {len(data) for _, data in full} == {8192}
    above = dict(full)[Place(1, 0)]
    for position in range(256):
        halves = tiles.hashes([Range(0, 128), Range(128, 256)], {Place(0, 0): dict(full)[Place(0, position)]})
        assert node_hash(*halves) == above[32 * position : 32 * (position + 1)]
    again = Growth(growth.size, growth.edge)
    assert (again.extend(LEAVES), again.root) == (growth.extend(LEAVES), growth.root)


@given(st.lists(st.integers(0, 700), max_size=12))
def test_any_chunks_give_what_leaf_by_leaf_gives(chunks: list[int]) -> None:
    growth = Growth()
    for chunk in chunks:
        begin, end = growth.size, min(growth.size + chunk, LARGEST)
        assert growth.extend(LEAVES[begin:end]) == given_out(begin, end)
        assert (growth.size, growth.root, growth.edge) == (end, ROOTS[end], EDGES[end])


@given(resumed)
def test_a_tree_that_is_taken_up_from_its_edge_goes_on_as_if_it_had_never_stopped(pair: tuple[int, int]) -> None:
    old, new = pair
    growth = Growth(old, EDGES[old])
    assert (growth.size, growth.root, growth.edge) == (old, ROOTS[old], EDGES[old])
    assert growth.extend(LEAVES[old:new]) == given_out(old, new)
    assert (growth.size, growth.root, growth.edge) == (new, ROOTS[new], EDGES[new])


@given(sizes)
def test_a_copy_grows_by_itself(size: int) -> None:
    growth = Growth(size, EDGES[size])
    copy = growth.copy()
    copy.extend(LEAVES[:300])
    assert (growth.size, growth.root, growth.edge) == (size, ROOTS[size], EDGES[size])
    other = growth.copy()
    growth.extend(LEAVES[:300])
    assert (growth.size, growth.root, growth.edge) == (copy.size, copy.root, copy.edge)
    assert (other.size, other.root, other.edge) == (size, ROOTS[size], EDGES[size])


def test_an_edge_that_was_given_is_not_changed_by_growing() -> None:
    edge = EDGES[300][:]
    Growth(300, edge).extend(LEAVES)
    assert edge == EDGES[300]


@pytest.mark.parametrize(
    ("size", "edge"),
    [
        (0, [b""]),
        (0, [LEAVES[0]]),
        (1, []),
        (1, [b""]),
        (1, [LEAVES[0][:-1]]),
        (1, [LEAVES[0] + b"\x00"]),
        (1, [LEAVES[0], b""]),
        (2, [LEAVES[0]]),
        (256, [b"", b""]),
        (256, [LEAVES[0]]),
        (256, [b"".join(LEAVES[:256])]),
        (257, [b"", LEAVES[0]]),
        (257, [LEAVES[0]]),
        (65_536, [b"", b""]),
        (-1, []),
    ],
)
def test_an_edge_of_another_size_is_refused(size: int, edge: list[bytes]) -> None:
    with pytest.raises(ValueError, match=f"This is not the right edge of a tree of {size} leaves"):
        Growth(size, edge)


@given(resumed)
def test_the_edge_of_another_tree_is_refused_or_gives_another_root(pair: tuple[int, int]) -> None:
    old, new = pair
    if [len(data) for data in EDGES[old]] == [len(data) for data in EDGES[new]]:
        assert Growth(new, EDGES[old]).root == ROOTS[new]  # the same tree
        assert old == new
        return
    with pytest.raises(ValueError, match="not the right edge"):
        Growth(new, EDGES[old])
