"""Who may read which part of the log; until there are API keys, an auditor is whoever has AUDITOR_KEY."""

import hmac

from django.conf import settings
from rest_framework.request import Request

from ledger.domain.tiles import ENTRIES

_SCHEME = "bearer"


def may_read(request: Request, level: int) -> bool:
    """Whether the caller may read tiles of a level; the checkpoint counts as level 0."""
    public = level != ENTRIES and settings.ENV.log_access == "public"
    return public or _is_auditor(request, settings.ENV.auditor_key)


def _is_auditor(request: Request, key: str | None) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if key is None or scheme.lower() != _SCHEME:
        return False
    return hmac.compare_digest(given.strip().encode(), key.encode())
