"""The log outside the database: tiles, private entry bundles, and the checkpoint that guards them all.

What was published can be compared with the database after a restore, and missing events put back from the bundles.
`public/` may be served as it is (c2sp.org/tlog-tiles); `private/` holds the customers' pseudonyms.
"""

import fcntl
import gzip
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import batched
from pathlib import Path
from typing import Protocol

from ledger.domain.entry import Event
from ledger.domain.tiles import Place, Tile

CHECKPOINT = "public/checkpoint"
WITNESSED = "public/witnessed-checkpoint"
TILES = "public/tile/"
ENTRIES = "private/entries/"
PACE = 0.25
_LONGEST = 1 << 20
_AT_ONCE = 64
_PATIENCE, _POLL = 5.0, 0.01
"""Seconds to wait for another sealer's compare-and-swap: less than the server lets a silent session live."""


class PublicationError(Exception):
    """The publication can't be read or written, or is not what it was; the message says what to do."""


class PublicationAwayError(PublicationError):
    """The publication does not answer: try again later."""


class Publication(Protocol):
    """Where the log is published: a folder, or a bucket (ledger.publication_bucket)."""

    at_once: int
    """How many objects ``write`` takes, so that no call of it lasts longer than the server lets a session be silent."""
    pace: float
    """Seconds from one publication to the next, at least."""

    def read_checkpoint(self) -> str | None:
        """The published checkpoint, a signed note; None where nothing was ever published.

        Raises:
            PublicationError: it can't be read.
        """

    def read(self, names: Sequence[str]) -> Iterator[bytes | None]:
        """Objects by their names, in that order; None for one that is not there.

        Raises:
            PublicationError: one can't be read.
        """

    def write(self, objects: Mapping[str, bytes]) -> None:
        """Write objects by their names; all are durable when this returns.

        Raises:
            PublicationError: one can't be written.
        """

    def replace_checkpoint(self, before: str | None, after: str) -> None:
        """Compare-and-swap: put ``after`` where ``before`` is (None: nothing yet).

        Raises:
            PublicationError: something else is there, so another sealer publishes; or it can't be written.
        """

    def write_witnessed(self, text: str) -> None:
        """Write the newest checkpoint that enough witnesses have cosigned; called beside the others.

        Raises:
            PublicationError: it can't be written.
        """

    def remove_partials(self, place: Place, kept: Tile | None) -> None:
        """Remove the partial forms that ``kept`` replaces (None: the full tile does); one that stays does no harm."""


class Folder:
    """A publication in a folder. Each file appears complete or not at all, and survives a power cut."""

    at_once = 4096  # more than a tick has: it makes parts itself

    def __init__(self, path: Path, pace: float = PACE) -> None:
        self.path = path
        self.pace = pace
        # Two may write at once, where one hung and woke up: each beside its own files, or one moves what is half done.
        self._fresh = f".{secrets.token_hex(4)}.new"
        self._tidied = False

    def __str__(self) -> str:
        return str(self.path)

    def read_checkpoint(self) -> str | None:
        """See Publication."""
        file = self.path / CHECKPOINT
        try:
            with file.open("rb") as opened:
                return opened.read(_LONGEST).decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise PublicationError(f"{file} can't be read: {_reason(error)}. Put it back from a copy.") from error

    def read(self, names: Sequence[str]) -> Iterator[bytes | None]:
        """See Publication."""
        for name in names:
            file = self.path / name
            try:
                yield file.read_bytes()
            except FileNotFoundError:
                yield None
            except OSError as error:
                raise PublicationError(f"{file} can't be read: {_reason(error)}. Put it back from a copy.") from error

    def write(self, objects: Mapping[str, bytes]) -> None:
        """See Publication: files, by their paths below the folder."""
        if not self._tidied:
            self._tidy({f"{self.path}/{name}".rpartition("/")[0] for name in objects})
            self._tidied = True
        for some in batched(objects.items(), _AT_ONCE):
            self._replace(dict(some), self._fresh)

    def replace_checkpoint(self, before: str | None, after: str) -> None:
        """See Publication."""
        with self._exclusive():
            if self.read_checkpoint() != before:
                raise PublicationError(MOVED.format(self))
            self._replace({CHECKPOINT: after.encode()}, ".new")

    def write_witnessed(self, text: str) -> None:
        """See Publication."""
        with self._exclusive():
            self._replace({WITNESSED: text.encode()}, ".new")

    def remove_partials(self, place: Place, kept: Tile | None) -> None:
        """Remove the partial forms that ``kept`` replaces (None: the full tile does); one that stays does no harm.

        Wider ones stay, since another sealer published them while this one hung.
        Public ones stay until the tile is full, for those who read along (c2sp.org/tlog-tiles, Partial Tiles).
        """
        for base in (TILES, ENTRIES) if place.level == 0 else (TILES,):
            if base == TILES and kept is not None:
                continue
            folder = (self.path / (base + _name(base, Tile(*place, 1)))).parent
            with suppress(OSError):
                for file in folder.iterdir():
                    if kept is None or (file.name.isdecimal() and int(file.name) < kept.width):
                        file.unlink()
                if kept is None:
                    folder.rmdir()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o755)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise PublicationError(f"{self} can't be locked: {_reason(error)}. {_ADVICE}") from error
        until = time.monotonic() + _PATIENCE
        try:
            while not _locked(lock):
                if time.monotonic() > until:
                    raise PublicationError(
                        f"{self} has been locked by another sealer for {_PATIENCE:g} seconds: it hangs. End it."
                    )
                time.sleep(_POLL)
            yield
        finally:
            os.close(lock)

    def _tidy(self, folders: Iterable[str]) -> None:
        """Remove what a sealer that was killed had begun; its successor's first files are the same ones."""
        for folder in folders:
            with suppress(OSError):
                for file in Path(folder).glob("*.new"):
                    file.unlink()

    def _replace(self, objects: Mapping[str, bytes], fresh: str) -> None:
        """Write files beside their places, under names that end with ``fresh``, make them durable, and move them there.

        All are on their way to the disk before the first is synced, and the last is synced first: the file system then
        has one journal to commit, not one for each file (ext4, 20 files: 1 instead of 20).
        """
        handles: list[int] = []
        moves: list[tuple[str, str]] = []
        folders: dict[str, None] = {}
        name = ""
        try:
            for name, content in objects.items():
                public = name.startswith("public/")
                folder, _, _ = (file := f"{self.path}/{name}").rpartition("/")
                if folder not in folders:
                    self._make(Path(folder), 0o755 if public else 0o700)
                    folders[folder] = None
                handles.append(os.open(f"{file}{fresh}", _WRITE, 0o644 if public else 0o600))
                moves.append((f"{file}{fresh}", file))
                _write_all(handles[-1], content)
            for handle in handles:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)  # starts to write, and so places it
            for handle in reversed(handles):
                os.fsync(handle)
            for begun, file in moves:
                os.replace(begun, file)  # noqa: PTH105  # a Path takes as long as the call
        except OSError as error:
            raise PublicationError(f"{self.path / name} can't be written: {_reason(error)}. {_ADVICE}") from error
        finally:
            for handle in handles:
                os.close(handle)
        for folder in folders:
            self._sync(Path(folder))

    def _make(self, folder: Path, mode: int) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent, mode)
        with suppress(FileExistsError):
            folder.mkdir(mode=mode)
        self._sync(folder.parent)

    def _sync(self, folder: Path) -> None:
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise PublicationError(f"{folder} can't be synced: {_reason(error)}. {_ADVICE}") from error


_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
MOVED = "The checkpoint in {} was moved by somebody else; start again."
_ADVICE = "Make room, or let the sealer write there (PUBLICATION)."


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_all(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def tile_name(tile: Tile) -> str:
    """The file of a tile."""
    return TILES + tile.path


def entries_name(tile: Tile) -> str:
    """The file of the entries of a level 0 tile: gzipped lines of a serial, a space, and the exact entry."""
    return ENTRIES + _name(ENTRIES, tile)


def line(event: Event, entry: bytes) -> bytes:
    """One event in a private file: its serial, which the entry does not hold, and the exact entry."""
    return b"%d %b\n" % (event.serial, entry)


def compress(lines: Iterable[bytes]) -> bytes:
    """The private file of some events; the same ones give the same bytes."""
    # Measured, an event: level 1 takes 1.8 us and 81 bytes; Huffman codes alone 2.4 and 247, level 6 4.2 and 71.
    return gzip.compress(b"".join(lines), compresslevel=1, mtime=0)


def _name(base: str, tile: Tile) -> str:
    return tile.path if base == TILES else tile.path.partition("/")[2]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
