"""The parameters of the reports: read, with everything that is wrong with them."""

import re
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from django.http import HttpRequest

from core import problems
from core.problems import Detail, ProblemError
from ledger.domain import values
from ledger.domain.values import ValueFlaw
from reports.counted import Period
from reports.customers import By

JSON, CSV = "application/json", "text/csv"
FORMATS: Final = {"json": JSON, "csv": CSV}
USUAL_DAYS: Final = 30
MOST_DAYS: Final = 400
"""Days of an answer in JSON."""

_MOST_PARAMETERS: Final = 32
_LONGEST_NAME: Final = 64
_UUID: Final = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
_DAY: Final = re.compile("([0-9]{4,6})-[0-9]{2}-[0-9]{2}", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1970, 9999


class OfCustomer(NamedTuple):
    """What is asked about a customer."""

    period: Period
    by: By
    media_type: str


class OfDays(NamedTuple):
    """What is asked about days."""

    first: date
    end: date
    media_type: str


def customer(text: str) -> uuid.UUID | None:
    """The customer that a path names; None where that is nobody's id."""
    return uuid.UUID(text) if _UUID.fullmatch(text) else None


def day(text: str) -> date | None:
    """The day that a path names; None where that is none."""
    try:
        return _day(text)
    except ValueFlaw:
        return None


def of_customer(request: HttpRequest) -> OfCustomer:
    """What a query about a customer asks for.

    Raises:
        ProblemError: INVALID_PARAMETERS with every flaw, or NOT_ACCEPTABLE.
    """
    given, flaws = _read(request, {"from": _day, "to": _day, "by": _by, "format": _form})
    media_type = _media_type(request, given)
    if media_type == CSV and "by" in given:
        flaws.append(Detail("by", "not-allowed", "A file has every count: leave this out, or ask for JSON."))
    return OfCustomer(
        Period(given.get("from"), given.get("to")), given.get("by", By.DAY), _without_flaws(media_type, flaws)
    )


def of_days(request: HttpRequest, today: Callable[[], date]) -> OfDays:
    """What a query about days asks for: the last USUAL_DAYS, up to ``today``, unless it says so.

    Raises:
        As ``of_customer``, and as ``today``.
    """
    given, flaws = _read(request, {"from": _day, "to": _day, "format": _form})
    media_type = _media_type(request, given)
    if flaws:
        raise ProblemError(problems.INVALID_PARAMETERS, errors=flaws)
    end: date = given.get("to") or today() + timedelta(days=1)
    first: date = given.get("from") or end - timedelta(days=USUAL_DAYS)
    if first >= end:
        flaws.append(Detail("from", "range", "This day has not begun."))
    elif media_type == JSON and (end - first).days > MOST_DAYS:
        detail = f"This is more than {MOST_DAYS} days before the end; a file (text/csv) may have any number."
        flaws.append(Detail("from", "range", detail))
    return OfDays(first, end, _without_flaws(media_type, flaws))


def of_day(request: HttpRequest) -> str:
    """The media type that a query about one day asks for; raises as ``of_customer``."""
    given, flaws = _read(request, {"format": _form})
    return _without_flaws(_media_type(request, given), flaws)


def _read(request: HttpRequest, readers: dict[str, Callable[[str], object]]) -> tuple[dict[str, Any], list[Detail]]:
    """What can be read, and what is wrong."""
    query = request.GET
    if len(query) > _MOST_PARAMETERS:
        detail = f"There are {len(query)} parameters; these are expected: {', '.join(readers)}."
        raise ProblemError(problems.INVALID_PARAMETERS, errors=[Detail("", "too-many", detail)])
    given: dict[str, Any] = {}
    flaws: list[Detail] = []
    for name, texts in query.lists():
        try:
            given[name] = _only(readers, name, texts)
        except ValueFlaw as flaw:
            flaws.append(Detail(name[:_LONGEST_NAME], flaw.code, flaw.detail))
    if "from" in given and "to" in given and given["from"] >= given["to"]:
        flaws.append(Detail("to", "range", "This day is not counted itself, so it must come after the one in `from`."))
    return given, flaws


def _only(readers: dict[str, Callable[[str], object]], name: str, texts: list[str]) -> object:
    """The one value of a parameter that there is."""
    if name not in readers:
        raise ValueFlaw("unknown", f"There is no such parameter; these are: {', '.join(readers)}.")
    if len(texts) > 1:
        raise ValueFlaw("repeated", "This parameter is given more than once.")
    if not texts[0]:
        raise ValueFlaw("empty", "A value is required; leave the parameter out where none is meant.")
    return readers[name](texts[0])


def _media_type(request: HttpRequest, given: dict[str, Any]) -> str | None:
    """As what the answer is wanted; ``format`` wins over Accept. None: as nothing that there is."""
    found: str | None = given.get("format") or request.get_preferred_type(list(FORMATS.values()))
    return found


def _without_flaws(media_type: str | None, flaws: list[Detail]) -> str:
    if flaws:
        raise ProblemError(problems.INVALID_PARAMETERS, errors=flaws)
    if media_type is None:
        raise ProblemError(problems.NOT_ACCEPTABLE)
    return media_type


def _form(text: str) -> str:
    return FORMATS[values.choice(text, FORMATS)]


def _by(text: str) -> By:
    return By(values.choice(text, list(By)))


def _day(text: str) -> date:
    match = _DAY.fullmatch(text)
    if match is None:
        raise ValueFlaw("format", "A day is expected, such as 2026-11-22.")
    if not _FIRST_YEAR <= int(match[1]) <= _LAST_YEAR:
        raise ValueFlaw("range", f"The day must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}.")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueFlaw("format", "There is no such day.") from None
