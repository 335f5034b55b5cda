"""Whether this process can issue, in sentences that may be told to anybody: the log has the particulars."""

from collections.abc import Mapping
from typing import Final

from django.conf import settings

from issuance import runtime
from issuance.domain.errors import (
    CollisionError,
    ExhaustedError,
    IssuanceError,
    RefusedError,
    RestoredDatabaseError,
    StoppingError,
    WrongCustomerKeysError,
)

_LEASE: Final = "lease"
_FENCE: Final = "fence"

# The most specific first.
_WORDS: Final[tuple[tuple[type[IssuanceError], str, str], ...]] = (
    (
        RestoredDatabaseError,
        _FENCE,
        "The database is older than what was issued from it. The log of the service says what to do.",
    ),
    (
        WrongCustomerKeysError,
        _LEASE,
        "CUSTOMER_TAG_KEYS don't fit the keys that the ledger knows. The log of the service says what to do.",
    ),
    (ExhaustedError, _LEASE, "The shard has no serials left. Issue into another shard (SHARD)."),
    (CollisionError, _LEASE, "A serial was in the ledger already. Look at ledger and fence before starting it again."),
    (
        RefusedError,
        _FENCE,
        "Fence, published log and database don't agree, or one can't be read. The log of the service says what to do.",
    ),
    (StoppingError, _LEASE, "This process is shutting down; others go on."),
    (IssuanceError, _LEASE, "The database can't be used for issuing at present. The log of the service says why."),
)
_NOT_YET: Final = "No serials are leased yet. That takes a second; if it stays so, the log of the service says why."


def checks() -> Mapping[str, str | None]:
    """What is looked at, and of each a sentence on what to do, or None (core.health)."""
    if settings.ENV.coordinator:
        return {}  # it issues nothing
    issues, refusal = runtime.state()
    found: dict[str, str | None] = dict.fromkeys((_LEASE, _FENCE))
    if refusal is not None:
        check, words = next((check, words) for kind, check, words in _WORDS if isinstance(refusal, kind))
        found[check] = words
    elif not issues:
        found[_LEASE] = _NOT_YET
    return found
