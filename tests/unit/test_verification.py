"""Which row is which leaf where somebody tampered, and which tile is at fault: verification without a database."""

from hashlib import sha256

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils import UUID

from ledger import rows
from ledger.domain.entry import Event
from ledger.domain.growth import Growth
from ledger.domain.note import Checkpoint, SignerKey
from ledger.domain.sealing import Run
from ledger.domain.tiles import Place
from ledger.succession import Keys
from ledger.verify_leaves import UNKNOWN, Row, align, serial_of
from ledger.verify_trees import Signed, Trees

KEY = SignerKey("log.test/tracking", bytes(32))
EVENT = Event("3K9M7QX2PZ4MYIDT", 0, bytes(32), 1, "MY", "ID", 4, 0, 0, UUID(int=1), None)
FIRST = 1024

whole_runs = st.lists(st.integers(0, 40), min_size=2, max_size=25, unique=True).map(sorted)


def rows_of(places: list[int]) -> list[Row]:
    return [
        (msgspec.structs.replace(EVENT, serial=FIRST + at), sha256(at.to_bytes(2, "big")).digest()) for at in places
    ]


def run_of(found: list[Row]) -> Run:
    return Run(7000, found[0][0].serial, found[-1][0].serial, len(found))


@given(whole_runs)
def test_a_run_whose_rows_are_what_its_tiles_hold_is_as_it_is(places: list[int]) -> None:
    found = rows_of(places)
    held = [leaf for _, leaf in found]
    assert align(run_of(found), found, held) == (held, [], [], [])


@given(whole_runs, st.data())
def test_one_altered_row_is_the_only_suspect(places: list[int], data: st.DataObject) -> None:
    found = rows_of(places)
    held = [leaf for _, leaf in found]
    at = data.draw(st.integers(0, len(found) - 1))
    altered = [(event, bytes(31) + b"\1" if i == at else leaf) for i, (event, leaf) in enumerate(found)]
    hashes, suspects, lost, extra = align(run_of(found), altered, held)
    assert hashes == [leaf for _, leaf in altered]
    assert [(each.leaf, each.event, each.tile) for each in suspects] == [(7000 + at, found[at][0], held[at])]
    assert (lost, extra) == ([], [])


@given(whole_runs, st.data())
def test_rows_that_are_gone_are_missed_where_they_were_and_shift_no_other(
    places: list[int], data: st.DataObject
) -> None:
    found = rows_of(places)
    held = [leaf for _, leaf in found]
    gone = data.draw(st.sets(st.integers(0, len(found) - 1), min_size=1))
    left = [row for at, row in enumerate(found) if at not in gone]
    hashes, suspects, lost, extra = align(run_of(found), left, held)
    assert (hashes, suspects, extra) == (held, [], [])
    assert sorted(each.leaf - 7000 for each in lost) == sorted(gone)
    assert all(found[each.leaf - 7000][0].serial in each.serials for each in lost)


@given(whole_runs, st.data())
def test_rows_in_gaps_are_extra_and_shift_no_other(places: list[int], data: st.DataObject) -> None:
    found = rows_of(places)
    held = [leaf for _, leaf in found]
    free = sorted(set(range(places[0], places[-1])) - set(places))
    more = rows_of(data.draw(st.lists(st.sampled_from(free), unique=True)) if free else [])
    more = [(event, sha256(leaf).digest()) for event, leaf in more]
    together = sorted(found + more, key=lambda row: row[0].serial)
    hashes, suspects, lost, extra = align(run_of(found), together, held)
    assert (hashes, suspects, lost) == (held, [], [])
    assert extra == sorted((event for event, _ in more), key=lambda event: event.serial)


@given(whole_runs)
def test_rows_without_tiles_are_taken_as_they_are(places: list[int]) -> None:
    found = rows_of(places)
    assert align(run_of(found), found, [UNKNOWN] * len(found)) == ([leaf for _, leaf in found], [], [], [])


def test_a_run_without_gaps_says_which_serial_is_gone_also_beside_an_altered_row() -> None:
    found = rows_of(list(range(10)))
    held = [leaf for _, leaf in found]
    left = [(found[4][0], UNKNOWN[1:] + b"\1") if at == 4 else row for at, row in enumerate(found) if at != 5]
    _, suspects, lost, extra = align(run_of(found), left, held)
    assert [each.leaf for each in suspects] == [7004]
    assert lost == [(7005, range(FIRST + 5, FIRST + 6))]
    assert extra == []


def test_the_serial_of_a_row_is_found_whatever_is_wrong_with_the_rest() -> None:
    row = rows.row(msgspec.structs.replace(EVENT, serial=77))
    assert serial_of(row) == 77
    assert serial_of(row[:40]) == 77
    assert serial_of(row.replace(b"\0\0\0\x10" + EVENT.number.encode(), b"\0\0\0\x01X")) == 77
    assert serial_of(row.replace(b"\0\0\0\x10" + EVENT.number.encode(), b"\xff\xff\xff\xff")) == 77
    assert serial_of(row[:20]) is None
    assert serial_of(row.replace(b"\0\0\0\x08" + (77).to_bytes(8, "big"), b"\xff\xff\xff\xff")) is None


def signed(size: int, leaves: list[bytes]) -> Signed:
    growth = Growth()
    growth.extend(leaves[:size])
    return Signed(f"The checkpoint of {size}", size, KEY.sign(Checkpoint(KEY.verifier.name, size, growth.root).text))


def test_an_altered_tile_above_the_leaves_is_named() -> None:
    leaves = [sha256(at.to_bytes(4, "big")).digest() for at in range(65_536)]
    stored = dict(Growth().extend(leaves))
    assert len(stored) == 257
    above = stored[Place(1, 0)]
    stored[Place(1, 0)] = above[:-1] + bytes([above[-1] ^ 1])
    trees = Trees(Keys(KEY.verifier, []), lambda places: {place: stored[place] for place in places})
    (said,) = [*trees.extend(leaves), *trees.signed(signed(65_536, leaves)), *trees.end(trees.growth.root)]
    assert "Tile 1/000 was altered" in said
    assert sha256(above).hexdigest() in said
    assert trees.tiles == 257


def test_signatures_of_a_history_that_was_rewritten_midway_fit_until_there_and_the_first_that_does_not_is_named() -> (
    None
):
    leaves = [sha256(at.to_bytes(4, "big")).digest() for at in range(60)]
    rewritten = [*leaves[:25], *leaves[26:], sha256(b"").digest()]
    trees = Trees(Keys(KEY.verifier, []), lambda _: {})
    said: list[str] = []
    for size in range(10, 70, 10):
        said += trees.extend(rewritten[size - 10 : size])
        said += trees.signed(signed(size, leaves))
    (only,) = [*said, *trees.end(trees.growth.root)]
    assert "The checkpoint of 30 does not fit" in only
    assert "leaves 20 to 29 were altered" in only


def test_what_waits_for_a_decision_does_not_grow_with_the_log() -> None:
    trees = Trees(Keys(KEY.verifier, []), lambda places: {place: bytes(8192) for place in places})
    for at in range(100):
        assert list(trees.extend([at.to_bytes(32, "big")])) == []
        assert list(trees.signed(Signed("A checkpoint", at + 1, bytes(64)))) == []
    assert len(trees._unfit) == 20
