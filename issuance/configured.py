"""What the settings say about numbers and about their fence."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from core.env import Env, SettingsError
from issuance.domain.number import Numbering
from issuance.fence import Fence, FileFence
from ledger.domain.form import NumberError


def fence(env: Env) -> Fence:
    """The fence that the settings name.

    Raises:
        SettingsError: none is named, and this is not an embedded service; or what it needs is missing.
    """
    if env.fence is None:
        if env.embedded:
            return FileFence(env.data_dir / "fence")
        raise SettingsError("Production needs FENCE, a file, Redis or bucket off the database's volume; see README.md.")
    if env.fence.startswith("s3://"):
        from issuance.fence_bucket import BucketFence  # noqa: PLC0415  # boto3 takes 50 MB, which a file does not need

        return BucketFence(env.fence, env)
    if env.fence.startswith(("redis://", "rediss://")):
        from issuance.fence_redis import RedisFence  # noqa: PLC0415  # likewise

        return RedisFence(env.fence, env.shard)
    return FileFence(Path(env.fence))


def numbering(env: Env) -> Numbering:
    """The numbering under NUMBER_KEY.

    Raises:
        SettingsError: there is no key yet.
    """
    if env.number_key is None:
        raise SettingsError("There is no NUMBER_KEY yet. `make run` makes one on its first start.")
    return Numbering(bytes.fromhex(env.number_key))


kept_numbering = lru_cache(1)(numbering)
"""The same for readers: their look-ups push nothing out of the caches of the writer's own."""


def serial_of(number: str) -> int | None:
    """The serial that a well-formed number was made of; None: NUMBER_KEY has never made it."""
    try:
        return kept_numbering(settings.ENV).decode(number).serial
    except NumberError:
        return None
