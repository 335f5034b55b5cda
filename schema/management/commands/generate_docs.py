"""``manage.py generate_docs``: write what is made from the code, or with ``--check`` say what has drifted."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from schema import generated


class Command(BaseCommand):
    """Writes the generated documents."""

    help = "Write README.md's settings, .env.example, schema/problems.md and schema/openapi.yaml from the code."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare ``--check``."""
        parser.add_argument("--check", action="store_true", help="write nothing; fail if something would change")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        stale = {
            path: text
            for path, text in generated.documents(settings.BASE_DIR).items()
            if not path.exists() or path.read_text() != text
        }
        names = ", ".join(str(path.relative_to(settings.BASE_DIR)) for path in stale)
        if options["check"] and stale:
            raise CommandError(f"Not as the code says: {names}. Run `make docs` and commit what it writes.")
        for path, text in stale.items():
            path.write_text(text)
        self.stdout.write(f"Wrote {names}." if stale else "Everything is as the code says.")
