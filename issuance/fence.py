"""The fence: the highest block ever leased, kept outside the database, so that a restored one is found out."""

import fcntl
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from issuance.domain.errors import FenceError

_TRIES = 3


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


class Fence(ABC):
    """What every fence promises; where it is kept is its subclass's: a file, Redis, or an object store."""

    @abstractmethod
    def __str__(self) -> str:
        """Where it is, for messages: without a password."""

    @abstractmethod
    def _get(self) -> bytes | None:
        """What is there, or None; raises FenceError or UnavailableError."""

    @abstractmethod
    def _swap(self, before: bytes | None, after: bytes) -> bool:
        """Compare-and-swap: put ``after`` where ``before`` is (None: nothing yet); it is durable when this returns.

        No two ever write the same, so whoever finds ``after`` there has put it, whatever became of the answer.

        Returns:
            Whether ``after`` is there; False where something else is.

        Raises:
            FenceError: it can't be kept safely there.
            UnavailableError: it is away, and may have been written or not.
        """

    def read(self) -> Mark | None:
        """The mark, or None where there is no fence yet.

        Raises:
            FenceError: the fence can't be read or is damaged.
            UnavailableError: it is away: try again later.
        """
        return self._decode(self._get())

    def create(self, mark: Mark) -> None:
        """Write the first mark.

        Raises:
            FenceError: there is a fence already, or it can't be written.
            UnavailableError: it is away, and may have been written or not.
        """
        if not self._swap(None, _encode(mark)):
            raise FenceError(f"The fence {self} exists already.")

    def advance(self, mark: Mark, first_block: int) -> None:
        """Move the fence to ``mark``, from below ``first_block`` only: a compare-and-swap.

        Raises:
            FenceError: the fence is another allocator's, is not below ``first_block``, or can't be written.
            UnavailableError: it is away, and may have been moved or not; the blocks may not be used.
        """
        after = _encode(mark)
        for _ in range(_TRIES):
            before = self._get()
            self._judge(self._decode(before), mark, first_block)
            if self._swap(before, after):
                return
        raise FenceError(f"The fence {self} is moved by somebody else all the time: two databases share it.")

    def _judge(self, present: Mark | None, mark: Mark, first_block: int) -> None:
        if present is None:
            raise FenceError(f"The fence {self} is gone. Put it back from a copy.")
        if (present.allocator, present.shard, present.key_fingerprint) != (
            mark.allocator,
            mark.shard,
            mark.key_fingerprint,
        ):
            raise FenceError(f"The fence {self} belongs to another database; see manage.py resolve_fence.")
        if present.highest_block >= first_block:
            raise FenceError(
                f"The fence {self} stands at block {present.highest_block}, so block {first_block} "
                "was leased before: two copies of a database share it, or one was restored."
            )

    def _decode(self, content: bytes | None) -> Mark | None:
        try:
            return None if content is None else msgspec.json.decode(content, type=Mark)
        except msgspec.DecodeError as error:
            raise FenceError(f"The fence {self} can't be read: {error}. Put it back from a copy.") from error


def _encode(mark: Mark) -> bytes:
    """The mark and a nonce: two copies of a database may lease the same blocks, and must not write the same."""
    return msgspec.json.encode({"nonce": secrets.token_hex(8)} | msgspec.structs.asdict(mark))


class FileFence(Fence):
    """A fence in a file: replaced atomically, fsynced, moved forward only, by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def _get(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FenceError(f"The fence {self.path} can't be read: {error}. Put it back from a copy.") from error

    def _swap(self, before: bytes | None, after: bytes) -> bool:
        with self._exclusive():
            if self._get() != before:
                return False
            self._replace(after)
            return True

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

    def _replace(self, content: bytes) -> None:
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
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
