"""The header that a single request and a bulk call read alike: Idempotency-Key."""

import re

from core.problems import Detail

# Visible ASCII but the comma: by it a WSGI server joins a header that is given twice.
_IDEMPOTENCY_KEY = re.compile(rb"[!-+\--~]{1,255}")


def flaw_of_key(key: bytes) -> Detail | None:
    """What is wrong with an Idempotency-Key, or None."""
    if _IDEMPOTENCY_KEY.fullmatch(key):
        return None
    return Detail("Idempotency-Key", "format", "1 to 255 visible ASCII characters but the comma, given once.")
