"""``manage.py list_api_keys``: every key that was ever made, but for its text, which nobody has but its holder."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from core.keys.models import ApiKey

_COLUMNS = ("id", "name", "scopes", "customer", "made", "last used", "state")


class Command(BaseCommand):
    """List the API keys."""

    help = "List the API keys: id (the principal of the events that it issued), name, scopes, use, state."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        now = datetime.now(UTC)
        try:
            rows = [_COLUMNS, *(_row(key, now) for key in ApiKey.objects.order_by("created_at"))]
        except DatabaseError as error:
            raise CommandError(f"The keys can't be read: {str(error).strip()}") from None
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.stdout.write("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _row(key: ApiKey, now: datetime) -> tuple[str, ...]:
    if key.revoked_at is not None:
        state = f"revoked {_minute(key.revoked_at)}"
    elif key.expires_at is None:
        state = "good"
    else:
        state = f"{'good until' if key.expires_at > now else 'expired'} {_minute(key.expires_at)}"
    used = "never" if key.last_used_at is None else _minute(key.last_used_at)
    bound = "one" if key.bound else "any"
    return str(key.id), key.name, ",".join(key.scopes), bound, _minute(key.created_at), used, state


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
