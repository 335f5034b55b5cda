"""A fence in an object of an S3-compatible store: its conditional writes compare and swap."""

from core.bucket import Bucket, BucketAwayError, BucketError, Item, Timing
from core.env import Env
from issuance.domain.errors import FenceError, UnavailableError
from issuance.fence import Fence

# A lease reads and moves the fence under a lock, and who holds that for five seconds is ended (issuance.allocator).
_TIMING = Timing(connect=0.5, read=2.0, patience=1.0)


class BucketFence(Fence):
    """A fence at ``s3://bucket/key``."""

    def __init__(self, address: str, env: Env) -> None:
        """Describe it; raises SettingsError where the store's keys are missing."""
        place, _, self._key = address.rpartition("/")
        self._address = address
        self._bucket = Bucket(place, env, _TIMING)
        self._read: Item | None = None

    def __str__(self) -> str:
        return self._address

    def _get(self) -> bytes | None:
        try:
            self._read = self._bucket.read(self._key)
        except BucketError as error:
            raise self._translated(error) from error
        return None if self._read is None else self._read.content

    def _swap(self, before: bytes | None, after: bytes) -> bool:
        tag = None
        if before is not None:
            read = self._read
            if read is None or read.content != before:
                return False
            tag = read.tag
        try:
            return self._bucket.swap(self._key, tag, after) is not None
        except BucketError as error:
            raise self._translated(error) from error

    def _translated(self, error: BucketError) -> FenceError | UnavailableError:
        message = f"The fence {self} can't be used: {error}"
        return UnavailableError(message) if isinstance(error, BucketAwayError) else FenceError(message)
