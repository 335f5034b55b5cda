"""``manage.py resolve_fence``: say how database and fence differ, and with ``--yes`` put it right."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from issuance.configured import fence, numbering
from issuance.domain.errors import FenceError, UnavailableError
from issuance.registry import Registry


class Command(BaseCommand):
    """Tells an operator what keeps the service from issuing."""

    help = "Compare the database with the fence; say what is the matter, and with --yes put it right."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare ``--yes``."""
        parser.add_argument("--yes", action="store_true", help="do what the command says that it would do")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        env = settings.ENV
        registry = Registry(fence(env), env.shard, numbering(env).fingerprint)
        try:
            matter, plan = registry.diagnose()
            if matter is None:
                self.stdout.write("The database and the fence agree.")
                return
            if plan is None:
                raise CommandError(matter)
            self.stdout.write(matter)
            if options["yes"]:
                self.stdout.write(registry.resolve())
            else:
                self.stdout.write(f"With --yes this command would {plan}.")
        except (FenceError, UnavailableError) as error:
            raise CommandError(str(error)) from None
