"""The headers that a single request and a bulk call read alike: X-Request-ID and Idempotency-Key."""

import re

from uuid_utils import UUID, uuid7

from core.problems import Detail

_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# Visible ASCII but the comma: by it a WSGI server joins a header that is given twice.
_IDEMPOTENCY_KEY = re.compile(rb"[!-+\--~]{1,255}")


def request_id(given: bytes | None) -> tuple[UUID, bytes]:
    """The request's id, and its text: the caller's if that is a UUID, else a new UUIDv7 (RFC 9562)."""
    identity = UUID(given.decode()) if given is not None and _UUID.fullmatch(given) else uuid7()
    return identity, str(identity).encode()


def flaw_of_key(key: bytes) -> Detail | None:
    """What is wrong with an Idempotency-Key, or None."""
    if _IDEMPOTENCY_KEY.fullmatch(key):
        return None
    return Detail("Idempotency-Key", "format", "1 to 255 visible ASCII characters but the comma, given once.")
