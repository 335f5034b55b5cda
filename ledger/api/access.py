"""Who may read which part of the log."""

from django.conf import settings

from core.keys.domain import Scope
from ledger.domain.tiles import ENTRIES


def scope(*, level: int) -> Scope | None:
    """What a key needs to read tiles of a level, None where no key is needed; the checkpoint counts as level 0."""
    public = level != ENTRIES and settings.ENV.log_access == "public"
    return None if public else Scope.AUDIT
