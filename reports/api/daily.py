"""The daily reports over HTTP: days of a period, one day, and what corrects the report of a day that is closed."""

from datetime import date
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from core import problems, query, replica
from core.problems import ProblemError
from ledger import shards
from ledger.api.reads import verifier
from ledger.shards import coordinated
from reports import across, closed, counted, daily
from reports.api import daily_contract, documents, files, parameters
from reports.api.answers import FOR_EVER, UNTIL_IT_CHANGES, ReportsView, kept, readable
from reports.api.parameters import CSV, JSON, OfDays
from reports.closed import Correction
from reports.counted import Period


class DailyReportsView(ReportsView):
    """The days of a period."""

    @extend_schema(**daily_contract.DAILY_REPORTS)
    def get(self, request: Request) -> HttpResponseBase:
        """Count them."""
        django: HttpRequest = request._request  # noqa: SLF001  # DRF wraps Django's request, and offers no other way
        with readable():
            response = replica.ask(lambda: _list(django))
        patch_vary_headers(response, ["Accept"])
        return response


class DailyReportView(ReportsView):
    """One day: as it is counted, or, once it is closed, its report."""

    @extend_schema(**daily_contract.DAILY_REPORT)
    def get(self, request: Request, day: str) -> HttpResponseBase:
        """Give the report, or count."""
        wanted = _day(day)
        django: HttpRequest = request._request  # noqa: SLF001  # DRF wraps Django's request, and offers no other way
        media_type = parameters.of_day(django)
        with readable():
            content, cache = replica.ask(lambda: _report(wanted))
            if media_type == CSV:
                rows = files.table(documents.rows(content))
                response = kept(django, rows, files.CONTENT_TYPE, cache, f"daily-{wanted}.csv")
            else:
                response = kept(django, content, JSON, cache)
        patch_vary_headers(response, ["Accept"])
        return response


class CorrectionsView(ReportsView):
    """What corrects the report of a day."""

    @extend_schema(**daily_contract.CORRECTIONS)
    def get(self, request: Request, day: str) -> HttpResponse:
        """Give the corrections that there are by now."""
        wanted = _day(day)
        query.nothing(request)
        with readable():
            found, of_shards = replica.ask(lambda: _corrections(wanted))
        django: HttpRequest = request._request  # noqa: SLF001  # DRF wraps Django's request, and offers no other way
        content = documents.corrections(wanted, found, of_shards)
        return kept(django, content, JSON, UNTIL_IT_CHANGES)


def _day(text: str) -> date:
    wanted = parameters.day(text)
    if wanted is None:
        raise ProblemError(problems.NOT_FOUND, "A day is expected, such as 2026-11-22.")
    return wanted


def _report(day: date) -> tuple[bytes, dict[str, Any]]:
    """The document of a day, and how long it may be kept."""
    report = None if coordinated() else closed.report(day)
    return (_counted(day), UNTIL_IT_CHANGES) if report is None else (report, FOR_EVER)


def _corrections(day: date) -> tuple[list[Correction], list[int]]:
    """What corrects a day, and, across shards, whose each of it is."""
    of_shards = across.corrections(day) if coordinated() else []
    found = [each.correction for each in of_shards] if coordinated() else closed.corrections(day)
    if not found:
        _begun(day)
    return found, [each.shard for each in of_shards]


def _begun(day: date) -> None:
    if day > counted.today():
        raise ProblemError(problems.NOT_FOUND, "This day has not begun.")


def _counted(day: date) -> bytes:
    """The document of a day that is not closed; one that has not begun by our clock is there if it has numbers."""
    found = daily.cells(day)
    if not found.counts:
        _begun(day)
    env = settings.ENV
    if coordinated():
        origins = {shard: key.name for shard, key in shards.keys().items()}
        return documents.day_across(day, env.report_time_zone, found, origins, across.reports(day))
    return documents.open_day(day, env.report_time_zone, verifier(env).name, found)


def _list(request: HttpRequest) -> HttpResponseBase:
    asked = parameters.of_days(request, counted.today)
    return _file(request, asked) if asked.media_type == CSV else _days(request, asked)


def _days(request: HttpRequest, asked: OfDays) -> HttpResponseBase:
    found = daily.listed(Period(asked.first, asked.end))
    content = documents.days(asked.first, asked.end, settings.ENV.report_time_zone, found)
    return kept(request, content, JSON, UNTIL_IT_CHANGES)


def _file(request: HttpRequest, asked: OfDays) -> HttpResponseBase:
    response = (
        files.head()
        if request.method == "HEAD"
        else files.streamed(request, daily.export(Period(asked.first, asked.end)), "daily")
    )
    response["Cache-Control"] = "no-store"
    return response
