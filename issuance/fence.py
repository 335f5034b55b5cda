"""The fence: the highest block ever leased, kept outside the database, so that a restored one is found out."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from issuance.domain.errors import FenceError


class Mark(msgspec.Struct, frozen=True):
    """What the fence holds: whose blocks these are, and how far they went.

    Attributes:
        allocator: UUID of the database's allocator row.
        shard: 0 to 31.
        key_fingerprint: of NUMBER_KEY.
        highest_block: highest block id ever leased; one below the shard's first block at the start.
    """

    allocator: str
    shard: int
    key_fingerprint: str
    highest_block: int


class FileFence:
    """A fence in a file: replaced atomically, fsynced, moved forward only, by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> Mark | None:
        """The mark, or None where there is no fence yet.

        Raises:
            FenceError: the file can't be read or is damaged.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Mark)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise FenceError(f"The fence {self.path} can't be read: {error}. Put it back from a copy.") from error

    def create(self, mark: Mark) -> None:
        """Write the first mark.

        Raises:
            FenceError: there is a fence already, or it can't be written.
        """
        with self._exclusive():
            if self.path.exists():
                raise FenceError(f"The fence {self.path} exists already.")
            self._replace(mark)

    def advance(self, mark: Mark, first_block: int) -> None:
        """Move the fence to ``mark``, from below ``first_block`` only: a compare-and-swap.

        Raises:
            FenceError: the fence is another allocator's, is not below ``first_block``, or can't be written.
        """
        with self._exclusive():
            present = self.read()
            if present is None:
                raise FenceError(f"The fence {self.path} is gone. Put it back from a copy.")
            if (present.allocator, present.shard, present.key_fingerprint) != (
                mark.allocator,
                mark.shard,
                mark.key_fingerprint,
            ):
                raise FenceError(f"The fence {self.path} belongs to another database; see manage.py resolve_fence.")
            if present.highest_block >= first_block:
                raise FenceError(
                    f"The fence {self.path} stands at block {present.highest_block}, so block {first_block} "
                    "was leased before: two copies of a database share it, or one was restored."
                )
            self._replace(mark)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise FenceError(f"The fence {self.path} can't be locked: {error}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _replace(self, mark: Mark) -> None:
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgspec.json.encode(mark))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise FenceError(
                f"The fence {self.path} can't be written: {error}. Make room or fix its rights."
            ) from error
