"""Cursors of lists: places that clients hand back as they are, each good for the list that it was made for alone."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest
from typing import Final

from django.utils.crypto import salted_hmac

_PURPOSE: Final = "core.cursors"
_DIGEST_BYTES: Final = 16
_LONGEST: Final = 1024
"""A cursor over all 32 shards has 716 characters."""


class CursorError(ValueError):
    """This is no cursor of this list."""


def seal(place: bytes, context: bytes) -> str:
    """A cursor for a place; ``context`` is all that tells the list from others, and does not get into the cursor."""
    return urlsafe_b64encode(place + _digest(place, context)).rstrip(b"=").decode()


def unseal(cursor: str, context: bytes) -> bytes:
    """The place of a cursor that ``seal`` made with the same context and the same SECRET_KEY.

    Raises:
        CursorError: nobody was given this cursor for this list.
    """
    if len(cursor) > _LONGEST or not cursor.isascii():
        raise CursorError
    try:
        sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except binascii.Error:
        raise CursorError from None
    place, digest = sealed[:-_DIGEST_BYTES], sealed[-_DIGEST_BYTES:]
    # A place has one cursor: base64 can write the same bytes in several ways, and Python's reader skips what is none.
    if not compare_digest(digest, _digest(place, context)) or seal(place, context) != cursor:
        raise CursorError
    return place


def _digest(place: bytes, context: bytes) -> bytes:
    message = len(place).to_bytes(4, "big") + place + context
    return salted_hmac(_PURPOSE, message, algorithm="sha256").digest()[:_DIGEST_BYTES]
