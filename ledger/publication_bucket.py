"""The log's publication in a bucket of an S3-compatible store, below one prefix."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import batched

from core.bucket import THREADS, Bucket, BucketAwayError, BucketError, Timing
from core.env import Env
from ledger.domain.tiles import Place, Tile
from ledger.publication import (
    CHECKPOINT,
    ENTRIES,
    MOVED,
    TILES,
    WITNESSED,
    PublicationAwayError,
    PublicationError,
    entries_name,
    tile_name,
)

PACE = 1.0
# In all less than the ten seconds that the server lets a sealer's session be silent (ledger.standby); and whoever
# waited in vain for one answer has time to ask again.
_TIMING = Timing(connect=1.5, read=2.5, patience=4.0)
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_A_MOMENT = "public, max-age=1"


class BucketPublication:
    """A publication at ``s3://bucket/prefix``: what is below its ``public/`` may be served as it is."""

    at_once = 8 * THREADS

    def __init__(self, address: str, env: Env, pace: float = PACE) -> None:
        """Describe it; raises SettingsError where the store's keys are missing."""
        self.pace = pace
        self._bucket = Bucket(address, env, _TIMING, _parameters)
        self._threads = ThreadPoolExecutor(THREADS, "publication")
        self._seen: tuple[str, str] | None = None  # the checkpoint, and its tag

    def __str__(self) -> str:
        return str(self._bucket)

    def read_checkpoint(self) -> str | None:
        """See Publication."""
        try:
            found = self._bucket.read(CHECKPOINT)
            if found is None:
                return None
            text = found.content.decode()
        except BucketError as error:
            raise _translated(error) from error
        except UnicodeDecodeError as error:
            raise PublicationError(f"{self}/{CHECKPOINT} can't be read: {error}. Put it back from a copy.") from error
        self._seen = text, found.tag
        return text

    def read(self, names: Sequence[str]) -> Iterator[bytes | None]:
        """See Publication: several at once, a few ahead of whoever takes them."""
        for some in batched(names, self.at_once):
            try:
                yield from self._threads.map(self._content, some)
            except BucketError as error:
                raise _translated(error) from error

    def _content(self, name: str) -> bytes | None:
        found = self._bucket.read(name)
        return None if found is None else found.content

    def write(self, objects: Mapping[str, bytes]) -> None:
        """See Publication: several at once, and all of them within the seconds that one may take."""
        until = self._bucket.until()
        writes = [self._threads.submit(self._bucket.write, name, content, until) for name, content in objects.items()]
        wait(writes)
        try:
            for each in writes:
                each.result()
        except BucketError as error:
            raise _translated(error) from error

    def replace_checkpoint(self, before: str | None, after: str) -> None:
        """See Publication."""
        tag = None
        if before is not None:
            if (self._seen is None or self._seen[0] != before) and self.read_checkpoint() != before:
                raise PublicationError(MOVED.format(self))
            assert self._seen is not None  # noqa: S101  # a checkpoint was read
            tag = self._seen[1]
        try:
            moved = self._bucket.swap(CHECKPOINT, tag, after.encode())
        except BucketError as error:
            raise _translated(error) from error
        if moved is None:
            raise PublicationError(MOVED.format(self))
        self._seen = after, moved

    def write_witnessed(self, text: str) -> None:
        """See Publication."""
        self.write({WITNESSED: text.encode()})

    def remove_partials(self, place: Place, kept: Tile | None) -> None:
        """See Publication: once the tile is full, since to list them costs as much as a write."""
        if kept is not None:
            return
        folders = [tile_name(Tile(*place, 1))] + ([entries_name(Tile(*place, 1))] if place.level == 0 else [])
        try:
            self._bucket.remove(name for folder in folders for name in self._bucket.names(folder.removesuffix("1")))
        except BucketError:
            return


def _parameters(name: str) -> dict[str, str]:
    """What an object is stored with: the headers that the service itself serves it with (ledger.api.views)."""
    if name in {CHECKPOINT, WITNESSED}:
        return {"ContentType": "text/plain; charset=utf-8", "CacheControl": _FOR_A_MOMENT}
    if name.startswith(TILES):
        cache = _FOR_A_MOMENT if ".p/" in name else _FOR_EVER
        return {"ContentType": "application/octet-stream", "CacheControl": cache}
    return {"ContentType": "application/gzip" if name.startswith(ENTRIES) else "text/plain", "CacheControl": "no-store"}


def _translated(error: BucketError) -> PublicationError:
    if isinstance(error, BucketAwayError):
        return PublicationAwayError(f"The publication can't be reached: {error}")
    return PublicationError(f"The publication can't be used: {error}")
