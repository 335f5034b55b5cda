"""Tiles are those of c2sp.org/tlog-tiles: one path each, the hashes it lists, and every proof comes from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain import tiles
from ledger.domain.growth import Growth
from ledger.domain.merkle import (
    Node,
    Range,
    consistency_path,
    fold,
    inclusion_path,
    leaf_hash,
    nodes,
    verify_consistency,
    verify_inclusion,
)
from ledger.domain.tiles import ENTRIES, WIDTH, Place, Tile, TilePathError
from tests.support.log.trees import LEAVES, ROOTS, leaves_of_a_tree, mth, pairs_of_sizes, sizes, tiles_at

any_tile = st.builds(
    Tile, st.integers(0, 63) | st.just(ENTRIES), st.integers(0, 999) | st.integers(0, 10**12), st.integers(1, WIDTH)
)


def tiles_for(ranges: list[Range], size: int) -> dict[Place, bytes]:
    """What `needed` asks for, cut to the width that it gives, from all tiles of the tree."""
    held = tiles_at(size)
    return {tile.place: held[tile.place][: tile.width * 32] for tile in tiles.needed(ranges, size)}


@given(any_tile)
def test_a_path_reads_back_to_the_tile_it_was_written_for(tile: Tile) -> None:
    assert tiles.parse(tile.path) == tile


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1_234_067), "0/x001/x234/067"),  # the example of tlog-tiles
        (Tile(0, 0), "0/000"),
        (Tile(0, 999), "0/999"),
        (Tile(0, 1000), "0/x001/000"),
        (Tile(63, 10**12, 255), "63/x001/x000/x000/x000/000.p/255"),
        (Tile(1, 17, 1), "1/017.p/1"),
        (Tile(ENTRIES, 273, 112), "entries/273.p/112"),
        (Tile(ENTRIES, 1_234_067), "entries/x001/x234/067"),
    ],
)
def test_a_tile_has_the_path_of_the_standard(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert tiles.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0/",
        "0/000/",
        "/0/000",
        "0//000",
        "tile/0/000",
        "0/000\n",
        "0/000 ",
        " 0/000",
        # levels
        "00/000",
        "01/000",
        "64/000",
        "99/000",
        "100/000",
        "-1/000",
        "+1/000",
        "Entries/000",
        "entry/000",
        "٠/000",
        # positions
        "0/0",
        "0/00",
        "0/0000",
        "0/x000/001",
        "0/x000/x001/001",
        "0/X001/000",
        "0/001/000",
        "0/x001",
        "0/x01/000",
        "0/x0001/000",
        "0/x001/x000",
        "0/x001//000",
        "0/-01",
        "0/٠٠١",
        "0/x٠٠١/000",
        "0/0²0",
        "0/" + "x001/" * 12 + "000",
        "0/" + "x001/" * 100_000 + "000",
        # widths
        "0/000.p",
        "0/000.p/",
        "0/000.p/0",
        "0/000.p/00",
        "0/000.p/07",
        "0/000.p/256",
        "0/000.p/257",
        "0/000.p/999",
        "0/000.p/1000",
        "0/000.p/-1",
        "0/000.p/1/",
        "0/000.p/1\n",
        "0/000.p/٣",
        "0/000.P/1",
        "0/000p/1",
        "0/000xp/1",
        "0/000.p/1.p/1",
    ],
    ids=lambda path: ascii(path)[:30],
)
def test_a_path_that_is_not_the_one_path_of_a_tile_is_refused(path: str) -> None:
    with pytest.raises(TilePathError, match="A tile is named by /tile/<level>/<index>"):
        tiles.parse(path)


@given(st.text("0123456789x/.pentries\n", max_size=24))
def test_whatever_path_is_read_is_the_path_of_its_tile(path: str) -> None:
    try:
        tile = tiles.parse(path)
    except TilePathError:
        return
    assert tile.path == path
    assert ENTRIES <= tile.level <= 63
    assert 1 <= tile.width <= WIDTH


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 1_500) | st.integers(0, 2**48))
def test_a_tile_holds_the_hashes_whose_leaves_are_all_there(level: int, position: int, size: int) -> None:
    # MTH(D[(n * 256 + i) * 256**l : (n * 256 + i + 1) * 256**l]) for each i from 0 to 255, in a tree that has it.
    there = sum((position * 256 + i + 1) * 256**level <= size for i in range(256))
    assert tiles.width(level, position, size) == there
    if not level:
        assert tiles.width(ENTRIES, position, size) == there


@given(st.integers(0, 100_000) | st.integers(0, 2**63))
def test_the_growing_tiles_are_the_last_of_their_levels_where_they_are_partial(size: int) -> None:
    growing = {tile.level: tile for tile in tiles.growing(size)}
    assert [tile.level for tile in tiles.growing(size)] == sorted(growing)
    for level in range(64):
        partial = size // 256**level % 256  # tlog-tiles, "Partial Tiles"
        position = size // 256**level // 256
        assert growing.get(level) == (Tile(level, position, partial) if partial else None)
        assert tiles.width(level, position, size) == partial
        assert tiles.width(level, position + 1, size) == 0
        if position:
            assert tiles.width(level, position - 1, size) == 256


def test_a_tree_of_70_000_leaves_has_the_tiles_that_the_standard_lists() -> None:
    assert tiles.growing(70_000) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert [tiles.width(0, position, 70_000) for position in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [tiles.width(1, position, 70_000) for position in (0, 1, 2)] == [256, 17, 0]
    assert [tiles.width(2, position, 70_000) for position in (0, 1)] == [1, 0]
    assert tiles.width(3, 0, 70_000) == 0


def test_a_tree_of_256_leaves_has_a_full_tile_and_a_partial_one_above_it() -> None:
    assert tiles.growing(256) == [Tile(1, 0, 1)]
    assert tiles.width(0, 0, 256) == 256


def test_the_empty_tree_has_no_tiles() -> None:
    assert tiles.growing(0) == []


@given(leaves_of_a_tree)
def test_every_inclusion_proof_comes_from_the_tiles_that_are_needed(place: tuple[int, int]) -> None:
    index, size = place
    path = inclusion_path(index, size)
    proof = tiles.hashes(path, tiles_for(path, size))
    assert proof == [mth(*leaves) for leaves in path]
    verify_inclusion(index, size, LEAVES[index], proof, ROOTS[size])


@given(pairs_of_sizes)
def test_every_consistency_proof_comes_from_the_tiles_that_are_needed(pair: tuple[int, int]) -> None:
    old, new = pair
    path = consistency_path(old, new)
    proof = tiles.hashes(path, tiles_for(path, new))
    assert proof == [mth(*leaves) for leaves in path]
    verify_consistency(old, new, ROOTS[old], ROOTS[new], proof)


@given(sizes)
def test_the_root_comes_from_the_tiles_too(size: int) -> None:
    whole = [Range(0, size)]
    assert tiles.hashes(whole, tiles_for(whole, size)) == [mth(0, size)]


def test_a_tree_of_three_levels_of_tiles_proves_its_leaves_and_its_past() -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(70_000)]
    growth = Growth()
    held = dict(growth.extend(leaves[:65_000]))
    past = growth.root
    held |= growth.extend(leaves[65_000:])
    held |= {Place(level, 70_000 >> 8 * (level + 1)): data for level, data in enumerate(growth.edge)}
    for index in (0, 65_535, 65_536, 69_887, 69_888, 69_999):
        path = inclusion_path(index, 70_000)
        verify_inclusion(index, 70_000, leaves[index], tiles.hashes(path, held), growth.root)
        assert {tile.place for tile in tiles.needed(path, 70_000)} <= held.keys()
    path = consistency_path(65_000, 70_000)
    verify_consistency(65_000, 70_000, past, growth.root, tiles.hashes(path, held))


@given(leaves_of_a_tree)
def test_no_tile_is_asked_for_that_is_not_needed_and_none_twice(place: tuple[int, int]) -> None:
    path = inclusion_path(*place)
    asked = tiles_for(path, place[1])
    assert [tile.place for tile in tiles.needed(path, place[1])] == sorted(asked)
    for each in asked:
        with pytest.raises(KeyError):
            tiles.hashes(path, {other: data for other, data in asked.items() if other != each})


@given(leaves_of_a_tree)
def test_a_tile_is_asked_for_at_the_width_that_the_tree_gives_it(place: tuple[int, int]) -> None:
    held = tiles_at(place[1])
    for tile in tiles.needed(inclusion_path(*place), place[1]):
        assert tile.width == len(held[tile.place]) // 32


@pytest.mark.parametrize("missing", [1, 31, 32])
@pytest.mark.parametrize(
    ("leaves", "place", "width"),
    [
        (Range(3, 4), Place(0, 0), 4),
        (Range(0, 128), Place(0, 0), 128),
        (Range(384, 512), Place(0, 1), 256),
        (Range(256, 512), Place(1, 0), 2),
        (Range(0, 1024), Place(1, 0), 4),
    ],
)
def test_a_tile_that_ends_before_the_hash_is_refused(leaves: Range, place: Place, width: int, missing: int) -> None:
    tile = b"".join(LEAVES[:width])
    assert len(tiles.hashes([leaves], {place: tile})) == 1
    with pytest.raises(ValueError, match="is too short"):
        tiles.hashes([leaves], {place: tile[:-missing]})


@given(leaves_of_a_tree)
def test_the_insides_of_tiles_give_the_same_hashes(place: tuple[int, int]) -> None:
    index, size = place
    path = inclusion_path(index, size)
    rows = {place: tiles.interior(tile) for place, tile in tiles_for(path, size).items()}
    found = [fold([tiles.node_in(rows, node) for node in nodes(leaves)]) for leaves in path]
    assert found == [mth(*leaves) for leaves in path]


@pytest.mark.parametrize("missing", [1, 32, 64, 96])
def test_the_inside_of_a_tile_has_no_hash_over_what_it_lacks(missing: int) -> None:
    tile = b"".join(LEAVES[:4])[:-missing]
    if missing % 32:
        with pytest.raises(ValueError, match="ends within a hash"):
            tiles.interior(tile)
    else:
        rows = {Place(0, 0): tiles.interior(tile)}
        for node in (Node(0, 3), Node(1, 1), Node(2, 0)):
            with pytest.raises(ValueError, match="is too short"):
                tiles.node_in(rows, node)
        assert tiles.node_in(rows, Node(0, 0)) == LEAVES[0]
    with pytest.raises(KeyError):
        tiles.node_in({}, Node(0, 0))


def test_a_tile_is_split_into_its_hashes() -> None:
    assert tiles.split(b"".join(LEAVES[:3])) == LEAVES[:3]
    assert tiles.split(b"") == []
