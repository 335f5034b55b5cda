"""``manage.py rebuild_reports``: count the whole log anew, compare with the live counts, and swap."""

import time
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.databases import OWNER_ROLE
from core.progress import Progress
from ledger.log import LogError
from ledger.role_session import RoleError
from reports.rebuild import RebuildError, Rebuilt, rebuild
from reports.rollup import ZoneError
from reports.session import session

DIFFERENT, NOT_DONE = 1, 2
"""Exit codes."""


class Command(BaseCommand):
    """Rebuilds what is counted; the reports of closed days were given out, and stay."""

    help = (
        "Count the log's events anew into new tables while the live counts go on, compare, and put the new ones in "
        "their place. Reports of closed days stay. Works as the owner (DATABASE_OWNER_URL), by the days of "
        "REPORT_TIME_ZONE. Exit code 0: the counts were the same; 1: they were not, and are put right; 2: it could not "
        "be done, and nothing is changed."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        began = time.monotonic()
        progress = Progress()
        try:
            with session(settings.DATABASE_OWNER_URL, OWNER_ROLE) as connection:
                rebuilt = rebuild(connection, settings.ENV.report_time_zone, progress.show)
        except (RebuildError, ZoneError, RoleError) as error:
            raise CommandError(str(error), returncode=NOT_DONE) from None
        except LogError as error:
            raise CommandError(
                f"{error} Nothing is changed. `manage.py verify_ledger` says what does not fit.", returncode=NOT_DONE
            ) from None
        except psycopg.errors.UndefinedTable:
            raise CommandError("This database has no reports. Run `manage.py migrate`.", returncode=NOT_DONE) from None
        except psycopg.Error as error:
            raise CommandError(
                f"The reports can't be rebuilt, and are as they were: {str(error).strip()}", returncode=NOT_DONE
            ) from None
        finally:
            progress.end()
        self._report(rebuilt, time.monotonic() - began)

    def _report(self, rebuilt: Rebuilt, seconds: float) -> None:
        self.stdout.write(f"{rebuilt.leaves} leaves counted in {seconds:.1f} s.")
        for difference in rebuilt.differences:
            self.stdout.write(self.style.WARNING(difference))
        if rebuilt.differences:
            raise CommandError("The live counts differed; the rebuilt ones are in their place.", returncode=DIFFERENT)
        self.stdout.write("The live counts were the same.")
