"""The folder outside the database: files complete or absent, a checkpoint that nobody moves twice, and what stays."""

import contextlib
import errno
import fcntl
import gzip
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from uuid_utils import UUID

from ledger import publication
from ledger.domain.entry import Event
from ledger.domain.tiles import WIDTH, Place, Tile
from ledger.publication import CHECKPOINT, Folder, PublicationError
from tests.plugin import ROOT

TILE = publication.tile_name(Tile(0, 0))
BUNDLE = publication.entries_name(Tile(0, 0))
ADVICE = "Make room, or let the sealer write there (PUBLICATION)."


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "published")


def files(folder: Folder) -> dict[str, bytes]:
    """All files by their paths, but for the lock."""
    found = {str(file.relative_to(folder.path)): file for file in folder.path.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in sorted(found.items()) if name != "lock"}


def test_a_folder_where_nothing_was_published_has_no_checkpoint(folder: Folder) -> None:
    assert folder.read_checkpoint() is None
    assert not folder.path.exists(), "to look makes nothing"


def test_files_are_where_tlog_tiles_says_and_hold_what_was_written(folder: Folder) -> None:
    written = {
        publication.tile_name(Tile(0, 1234067)): b"full",
        publication.tile_name(Tile(1, 3, 7)): b"partial",
        publication.entries_name(Tile(0, 1234067)): b"entries",
        publication.entries_name(Tile(0, 9, 44)): b"some entries",
    }
    folder.write(written)
    assert files(folder) == {
        "public/tile/0/x001/x234/067": b"full",
        "public/tile/1/003.p/7": b"partial",
        "private/entries/x001/x234/067": b"entries",
        "private/entries/009.p/44": b"some entries",
    }


def test_more_files_than_a_process_may_hold_open_are_written(folder: Folder) -> None:
    written = {publication.tile_name(Tile(0, position)): b"%d" % position for position in range(300)}
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        folder.write(written)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert files(folder) == dict(sorted(written.items()))


def test_a_file_is_replaced_as_a_whole(folder: Folder) -> None:
    folder.write({TILE: b"what was here before, and longer"})
    folder.write({TILE: b"short"})
    assert files(folder) == {TILE: b"short"}


def test_everybody_may_read_what_is_public_and_only_the_owner_what_is_private(folder: Folder) -> None:
    folder.write({TILE: b"tile", BUNDLE: b"entries"})
    folder.replace_checkpoint(None, "checkpoint")
    modes = {
        str(path.relative_to(folder.path)): stat.S_IMODE(path.stat().st_mode)
        for path in (folder.path, *folder.path.rglob("*"))
    }
    assert modes == {
        ".": 0o755,
        "lock": 0o600,
        "public": 0o755,
        "public/checkpoint": 0o644,
        "public/tile": 0o755,
        "public/tile/0": 0o755,
        "public/tile/0/000": 0o644,
        "private": 0o700,
        "private/entries": 0o700,
        "private/entries/000": 0o600,
    }


def test_a_checkpoint_takes_the_place_of_the_one_that_was_read(folder: Folder) -> None:
    folder.replace_checkpoint(None, "first")
    folder.replace_checkpoint("first", "second")
    assert folder.read_checkpoint() == "second"


@pytest.mark.parametrize("before", [None, "first", "third"])
def test_a_checkpoint_that_somebody_else_moved_stays(folder: Folder, before: str | None) -> None:
    folder.replace_checkpoint(None, "first")
    folder.replace_checkpoint("first", "second")
    with pytest.raises(PublicationError, match="was moved by somebody else; start again"):
        folder.replace_checkpoint(before, "mine")
    assert folder.read_checkpoint() == "second"


def test_a_checkpoint_that_vanished_is_not_written_anew(folder: Folder) -> None:
    folder.replace_checkpoint(None, "first")
    (folder.path / CHECKPOINT).unlink()
    with pytest.raises(PublicationError, match="was moved by somebody else"):
        folder.replace_checkpoint("first", "second")
    assert folder.read_checkpoint() is None


def test_a_sealer_that_hangs_while_it_moves_the_checkpoint_is_told_of_and_not_waited_for(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication, "_PATIENCE", 0.2)
    folder.replace_checkpoint(None, "first")
    with (folder.path / "lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(PublicationError, match=r"locked by another sealer for 0\.2 seconds: it hangs"):
            folder.replace_checkpoint("first", "second")
    folder.replace_checkpoint("first", "second")
    assert folder.read_checkpoint() == "second"


RIVAL = """
import sys
from pathlib import Path
from ledger.publication import Folder, PublicationError
folder, won = Folder(Path(sys.argv[1])), 0
for number in range(200):
    try:
        before = folder.read_checkpoint()
        folder.replace_checkpoint(before, f"{int(before or 0) + 1}")
        won += 1
    except PublicationError:
        pass
print(won)
"""


def test_of_processes_that_move_the_checkpoint_at_once_each_step_is_one_of_theirs(folder: Folder) -> None:
    command = ["-c", RIVAL, str(folder.path)]
    rivals = [subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE) for _ in range(3)]
    won = [int(rival.communicate(timeout=240)[0]) for rival in rivals]
    assert folder.read_checkpoint() == str(sum(won)), "two have moved it from the same place"


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Make a system call fail from its n-th use on, as a full or broken disk does."""

    def fail(call: str, after: int) -> None:
        real, left = getattr(os, call), [after]

        def limited(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **options)

        monkeypatch.setattr(os, call, limited)

    return fail


def attempt(folder: Folder, wanted: dict[str, bytes]) -> str:
    try:
        folder.write(wanted)
    except PublicationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("call", ["open", "fsync", "replace", "mkdir"])
def test_wherever_writing_breaks_off_each_file_is_complete_or_as_it_was(
    folder: Folder, cut: Callable[[str, int], None], call: str, after: int
) -> None:
    before, wanted = {TILE: b"old" * 9000}, {TILE: b"new" * 9000, BUNDLE: b"entries" * 9000, "public/tile/1/000": b"up"}
    folder.write(before)
    cut(call, after)
    said = attempt(folder, wanted)
    assert not said or (str(folder) in said and said.endswith(f"No space left on device. {ADVICE}")), said
    for name, content in files(folder).items():
        if not name.endswith(".new"):
            assert content in {before.get(name), wanted[name]}


def test_what_an_interrupted_write_left_does_not_hinder_the_next(folder: Folder) -> None:
    file = folder.path / TILE
    file.parent.mkdir(parents=True)
    for left in ("000.new", "000.0123abcd.new", "001.0123abcd.new"):
        file.with_name(left).write_bytes(b"half of")
    folder.write({TILE: b"all"})
    assert files(folder) == {TILE: b"all"}, "and does not stay"


def test_every_file_and_its_folder_are_synced_before_it_is_relied_on(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    real = os.fsync

    def fsync(handle: int) -> None:
        file = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append(file.with_name(file.name.replace(folder._fresh, ".new")))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    folder.write({TILE: b"tile"})
    folder.replace_checkpoint(None, "checkpoint")
    tiles, public = (folder.path / TILE).parent, folder.path / "public"
    for needed in (tiles / "000.new", tiles, tiles.parent, public, folder.path, public / "checkpoint.new"):
        assert needed in synced
    assert synced.index(tiles / "000.new") < len(synced) - 1 - synced[::-1].index(tiles)
    assert synced[-2:] == [public / "checkpoint.new", public]


def test_two_sealers_that_write_at_once_do_not_spoil_each_others_files(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has written and synced its file, and hangs; the other begins to write the same one, and is killed at once."""
    other, real = Folder(folder.path), os.fsync

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def fsync(handle: int) -> None:
        real(handle)
        monkeypatch.setattr(os, "fsync", real)
        monkeypatch.setattr(publication, "_write_all", killed)
        with pytest.raises(KeyboardInterrupt):
            other.write({TILE: b"all"})

    folder.write({BUNDLE: b"entries", "public/tile/0/001": b"makes the folders"})
    monkeypatch.setattr(os, "fsync", fsync)
    with contextlib.suppress(PublicationError):
        folder.write({TILE: b"all"})
    assert files(folder).get(TILE, b"all") == b"all", "what was moved into its place is complete"


def test_all_files_are_on_their_way_to_the_disk_before_one_is_synced_and_the_last_is_synced_first(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def noting(call: str) -> None:
        real = getattr(os, call)

        def noted(handle: int, *arguments: int) -> None:
            calls.append((call, Path(f"/proc/self/fd/{handle}").readlink().name.partition(".")[0]))
            real(handle, *arguments)

        monkeypatch.setattr(os, call, noted)

    names = [f"public/tile/0/{number:03}" for number in range(3)]
    folder.write(dict.fromkeys(names, b"old"))
    noting("posix_fadvise")
    noting("fsync")
    folder.write(dict.fromkeys(names, b"new"))
    begun = [f"{number:03}" for number in range(3)]
    started, synced = [("posix_fadvise", name) for name in begun], [("fsync", name) for name in reversed(begun)]
    assert calls == [*started, *synced, ("fsync", "0")]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Folder]:
    """A folder on a file system of 64 kB, which only root can make."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted here")
    yield Folder(place / "published")
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_said_and_what_was_published_stays(mounted: Folder) -> None:
    mounted.write({TILE: b"x" * 20_000})
    mounted.replace_checkpoint(None, "checkpoint")
    with pytest.raises(PublicationError) as caught:
        mounted.write({TILE: b"y" * 60_000})
    assert str(caught.value) == f"{mounted.path / TILE} can't be written: No space left on device. {ADVICE}"
    assert (mounted.path / TILE).read_bytes() == b"x" * 20_000
    with pytest.raises(PublicationError, match="checkpoint can't be written: No space left"):
        mounted.replace_checkpoint("checkpoint", "z" * 60_000)
    assert mounted.read_checkpoint() == "checkpoint"


def test_a_folder_that_may_only_be_read_is_said(mounted: Folder) -> None:
    mounted.replace_checkpoint(None, "checkpoint")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted.path.parent)], check=True)
    with pytest.raises(PublicationError, match=r"tile can't be written|000 can't be written: Read-only file system"):
        mounted.write({TILE: b"tile"})
    with pytest.raises(PublicationError, match=r"can't be .*: Read-only file system\. .* \(PUBLICATION\)"):
        mounted.replace_checkpoint("checkpoint", "next")
    assert mounted.read_checkpoint() == "checkpoint"


def test_a_file_where_the_folder_should_be_is_said(folder: Folder) -> None:
    folder.path.write_text("no folder")
    with pytest.raises(PublicationError, match=r"public/checkpoint can't be read: Not a directory\. Put it back"):
        folder.read_checkpoint()
    with pytest.raises(PublicationError, match="000 can't be written: "):
        folder.write({TILE: b"tile"})
    with pytest.raises(PublicationError, match=f"{folder} can't be locked: File exists"):
        folder.replace_checkpoint(None, "checkpoint")


def test_a_checkpoint_that_is_no_text_is_said(folder: Folder) -> None:
    folder.replace_checkpoint(None, "checkpoint")
    (folder.path / CHECKPOINT).write_bytes(b"\xff\xfe")
    with pytest.raises(PublicationError, match=r"can't be read: .* Put it back from a copy"):
        folder.read_checkpoint()


def test_of_a_growing_tile_the_public_forms_stay_and_the_newest_private_one(folder: Folder) -> None:
    partial = {publication.tile_name(Tile(0, 2, width)): b"tile" for width in (3, 7, 9)}
    folder.write(partial | {publication.entries_name(Tile(0, 2, width)): b"entries" for width in (3, 7, 9)})
    folder.write({publication.tile_name(Tile(1, 2, 3)): b"another level's", TILE: b"another tile"})
    folder.remove_partials(Place(0, 2), Tile(0, 2, 9))
    public = {"public/tile/0/000", "public/tile/1/002.p/3", *(f"public/tile/0/002.p/{width}" for width in (3, 7, 9))}
    assert set(files(folder)) == public | {"private/entries/002.p/9"}


def test_a_sealer_that_hung_and_wakes_up_removes_no_form_that_another_has_published_since(folder: Folder) -> None:
    folder.write({publication.entries_name(Tile(0, 2, width)): b"entries" for width in (3, 7, 9, 20)})
    folder.remove_partials(Place(0, 2), Tile(0, 2, 7))
    assert set(files(folder)) == {f"private/entries/002.p/{width}" for width in (7, 9, 20)}


def test_all_partial_forms_of_a_tile_that_is_full_go_and_their_folder(folder: Folder) -> None:
    full = {publication.tile_name(Tile(0, 0)): b"tile", publication.entries_name(Tile(0, 0)): b"entries"}
    folder.write(full | {publication.tile_name(Tile(0, 0, width)): b"tile" for width in range(200, WIDTH)})
    folder.write({publication.entries_name(Tile(0, 0, 255)): b"entries"})
    folder.remove_partials(Place(0, 0), None)
    assert files(folder) == full
    assert not list(folder.path.rglob("*.p"))


def test_partial_forms_that_are_not_there_or_cannot_be_removed_are_passed_over(folder: Folder) -> None:
    folder.remove_partials(Place(0, 5), None)
    (folder.path / publication.tile_name(Tile(0, 5, 3))).mkdir(parents=True)
    folder.remove_partials(Place(0, 5), None)


def test_a_private_file_holds_serial_and_entry_line_by_line_and_is_the_same_each_time() -> None:
    event = Event("3K9M7QX2PZ4MYIDT", 77, bytes(32), 1, "MY", "ID", 4, 0, 0, UUID(int=1), None)
    line = publication.line(event, b'{"number":"3K9M7QX2PZ4MYIDT"}')
    assert line == b'77 {"number":"3K9M7QX2PZ4MYIDT"}\n'
    assert gzip.decompress(publication.compress([line, line])) == line + line
    assert publication.compress([line])[4:8] == bytes(4), "RFC 1952: MTIME, 0 where no time is given"
