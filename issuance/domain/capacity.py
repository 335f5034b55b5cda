"""How long a shard's serials last: what is leased of them, and the date on which the last one will be."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from ledger.domain.serial import SHARD_CAPACITY

DAY: Final = 86_400.0
"""Seconds."""
MONTH: Final = 30
"""Days over which the present rate is taken; of a younger shard, those that there were."""
END: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The last second that has a date here."""
_LITTLE: Final = 0.0001


class Space(NamedTuple):
    """A shard's serials, leased blocks counted whole.

    Attributes:
        used: leased so far.
        last_day: leased within the last 24 hours.
        last_month: leased within the last MONTH days.
        age: seconds since the first lease; 0 before it.
    """

    used: int
    last_day: int
    last_month: int
    age: float

    @property
    def share(self) -> float:
        """What is used of the shard's serials, 0 to 1."""
        return self.used / SHARD_CAPACITY

    @property
    def percent(self) -> str:
        """The same as people read it."""
        return f"{self.share:.2%}" if self.share >= _LITTLE else f"less than {_LITTLE:.2%}"

    @property
    def left(self) -> int:
        """What is not leased yet."""
        return SHARD_CAPACITY - self.used

    @property
    def rate(self) -> float:
        """Serials a day, of the last MONTH; of a shard that is younger than a day, what it has used as yet."""
        return self.last_month / max(1.0, min(float(MONTH), self.age / DAY))

    @property
    def days_left(self) -> float:
        """Days until the last serial is leased, at that rate; infinite where nothing is leased."""
        return self.left / self.rate if self.rate else float("inf")

    def runs_out(self, now: datetime) -> datetime | None:
        """When that is; None: after END, or never."""
        days = self.days_left
        return None if days >= (END - now) / timedelta(days=1) else now + timedelta(days=days)
