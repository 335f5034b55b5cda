"""``manage.py init_allocator``: make the allocator of a new database, once; harmless afterwards."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from issuance.configured import fence, numbering
from issuance.domain.errors import FenceError, UnavailableError
from issuance.registry import Registry


class Command(BaseCommand):
    """Makes the allocator row and the fence of a new database."""

    help = "Make the allocator of a new database and its fence. Does nothing where both are there and agree."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        env = settings.ENV
        registry = Registry(fence(env), env.shard, numbering(env).fingerprint)
        try:
            self.stdout.write(registry.initialise())
        except (FenceError, UnavailableError) as error:
            raise CommandError(str(error)) from None
