"""What every page of the console has: the frame around it, who may see it, and what is shown when it can't be made."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate, Final

from django.conf import settings
from django.db import DatabaseError, DataError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render as rendered
from django.templatetags.static import static
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from unfold.dataclasses import Favicon
from unfold.sites import UnfoldAdminSite

from core import problems
from core.problems import Problem, ProblemError
from core.staff.middleware import CONSOLE as CONSOLE_PATH
from ledger.log import LogError
from reports.rollup import ZoneError

TITLE: Final = "Tracking numbers"
_PAGES: Final = (
    ("Overview", "monitoring", "admin:index"),
    ("Ledger", "receipt_long", "admin:ledger"),
    ("Customer usage", "group", "admin:customer"),
    ("API keys", "key", "admin:keys"),
)

type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponse]


class Console(UnfoldAdminSite):  # type: ignore[misc]  # the package has no types
    """Django's admin in unfold's look; no model is registered with it, so it has no page that adds or changes one."""

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """What the templates of the frame are given."""
        context: dict[str, Any] = super().each_context(request)
        here = request.resolver_match.view_name if request.resolver_match else ""
        items = [_item(title, icon, reverse(view), active=here.startswith(view)) for title, icon, view in _PAGES]
        items.append(_item("API documentation", "api", "/docs"))
        return context | {
            "site_title": TITLE,
            "site_header": TITLE,
            "site_subheader": "Authority console",
            "site_symbol": "package_2",
            "site_url": None,
            "colors": None,  # would stand in the page as a style; console.css has them
            **_files(),
            "sidebar_navigation": [{"items": items}] if self.has_permission(request) else [],
        }


CONSOLE: Final = Console()


def _files() -> dict[str, Any]:
    """What unfold's skeleton loads beside its own files."""
    icon = Favicon(href=static("console/icon.svg"), rel="icon", type="image/svg+xml")
    return {
        "styles": [static("console/console.css")],
        "scripts": [static("console/frame.js")],
        "site_favicons": [icon],
    }


def _item(title: str, icon: str, link: str, *, active: bool = False) -> dict[str, Any]:
    """An item of the navigation, as unfold's template takes it."""
    attrs = {"aria-current": "page"} if active else {}
    return {"title": title, "icon": icon, "link": link, "active": active, "link_attrs": attrs, "has_permission": True}


def render(
    request: HttpRequest, template: str, title: str, *, status: int = HTTPStatus.OK, **context: Any
) -> HttpResponse:
    """A page in the frame; ``template`` is a file of templates/console/."""
    frame = CONSOLE.each_context(request)
    return rendered(request, f"console/{template}", frame | {"title": title, **context}, status=status)


def told[**P](view: View[P]) -> View[P]:
    """The view, with a page that says what is wrong in place of an error; nothing of it may be kept by anybody."""

    @wraps(view)
    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
            if hasattr(response, "render"):  # what it shows may have to be read yet
                response.render()
        except ProblemError as error:
            response = _trouble(request, error.problem, error.sentence)
        except Http404:
            response = _trouble(request, problems.NOT_FOUND, "There is no such page.")
        except ZoneError as error:
            response = _trouble(request, problems.DATABASE_UNAVAILABLE, str(error), title="These are other days")
        except (LogError, DataError) as error:
            problems.logger.critical("The log contradicts itself: %s", error)
            response = _trouble(request, problems.LOG_INCONSISTENT)
        except DatabaseError:
            response = _trouble(request, problems.DATABASE_UNAVAILABLE, "Try again in a moment.")
        add_never_cache_headers(response)
        response["Cache-Control"] = "no-store"
        return response

    return answer


def page[**P](view: View[P]) -> View[P]:
    """The view for staff alone; whoever has a one-time password is sent to change it."""

    @wraps(view)
    def own(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.user.one_time and request.resolver_match.view_name != "admin:password_change":  # type: ignore[union-attr]
            return HttpResponseRedirect(reverse("admin:password_change"))
        return view(request, *args, **kwargs)

    guarded: View[P] = CONSOLE.admin_view(own)
    return told(guarded)


@page
def nothing(request: HttpRequest, path: str) -> HttpResponse:
    """Whatever path there is not; only staff are told so."""
    del request, path
    raise Http404


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's answer to a form without the token of its page: another site's, or one that stood open too long."""
    if not request.path_info.startswith(CONSOLE_PATH):
        return problems.csrf_failure(request, reason)
    advice = "Nothing was done. Go back, load the page again, and send the form from there."
    return _trouble(request, problems.UNINTENDED, advice, title="This form is too old, or came from elsewhere")


def zone() -> str:
    """The time zone whose days are shown."""
    name: str = settings.ENV.report_time_zone
    return name


def _trouble(request: HttpRequest, problem: Problem, sentence: str | None = None, title: str = "") -> HttpResponse:
    """Asks nothing of the database, so it can say that there is none."""
    context = {
        "heading": title or problem.title,
        "advice": sentence or problem.advice,
        **_files(),
        "title": problem.title,
        "site_title": TITLE,
    }
    return rendered(request, "console/trouble.html", context, status=problem.status)
