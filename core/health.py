"""Whether this process lives, and whether it is ready: that it issues, and that requests should be sent to it."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from core import draining, problems
from core.bounded import DATABASE
from core.problems import Detail

type Check = Callable[[], Mapping[str, str | None]]
"""Names of what is looked at, and for each a sentence on what to do about it; None: it is fine."""

_NOT_ALLOWED: Final = "42501"
"""SQLSTATE insufficient_privilege: the login may not act as the role that serves."""
_NO_SUCH_ROLE: Final = "22023"

_WORDS: Final = {
    "serving": "This process is about to stop; others go on. Send it no more.",
    "database": "PostgreSQL does not answer. See that it runs, and that DATABASE_URL leads to it.",
    "role": "The login of DATABASE_URL may not act as tracking_app. Make it a member: GRANT tracking_app TO the login.",
    "schema": "Migrations are missing. Run `manage.py migrate`.",
}


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """200 as long as requests are answered at all."""
    del request
    return HttpResponse("alive\n", content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})


def readyz(issuing: Check) -> Callable[[HttpRequest], HttpResponse]:
    """A view that says 200, or 503 and what is missing, to anybody; ``issuing`` is what issuance has to say."""

    @require_safe
    def view(request: HttpRequest) -> HttpResponse:
        if draining.begun():
            return _refusal(request, {"serving": _WORDS["serving"]})
        checks = {"serving": None, **_database(), **issuing()}
        missing = {name: words for name, words in checks.items() if words is not None}
        if missing:
            return _refusal(request, missing)
        return JsonResponse(
            {"ready": True, "checks": dict.fromkeys(checks, "ok")}, headers={"Cache-Control": "no-store"}
        )

    return view


def _refusal(request: HttpRequest, missing: Mapping[str, str]) -> HttpResponse:
    details = [Detail(name, "missing", words) for name, words in missing.items()]
    response = problems.respond(request, problems.NOT_READY, errors=details)
    # Django would write a line for each probe; what is the matter is said once by whoever it keeps from working.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001  # it offers no other way
    return response


def _database() -> Mapping[str, str | None]:
    try:
        at_fault = DATABASE.ask(_fault)
    except TimeoutError:
        at_fault = "database"
    return {name: _WORDS[name] if name == at_fault else None for name in ("database", "role", "schema")}


def _fault() -> str | None:
    """What is at fault with the database: the database, the role or the schema."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            return "schema" if _migrations() - set(cursor.fetchall()) else None
    except Error as error:
        sqlstate = getattr(error.__cause__, "sqlstate", None)
        return {_NOT_ALLOWED: "role", _NO_SUCH_ROLE: "schema"}.get(str(sqlstate), "database")


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Those that this release needs; a database may have more, of a release to come."""
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
