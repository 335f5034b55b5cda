"""The parameters of the customer's statistics: read, with everything that is wrong with them."""

import re
import uuid
from datetime import date
from typing import Final, NamedTuple

from django.http import QueryDict

from core import problems
from core.problems import Detail, ProblemError
from reports.customers import By, Period

NAMES: Final = ("from", "to", "by")
_MOST_PARAMETERS: Final = 32
_LONGEST_NAME: Final = 64
_UUID: Final = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
_DAY: Final = re.compile("([0-9]{4,6})-[0-9]{2}-[0-9]{2}", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1970, 9999


class Asked(NamedTuple):
    """What is asked for."""

    period: Period
    by: By


class _FlawError(Exception):
    """One value that can't be read."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def customer(text: str) -> uuid.UUID | None:
    """The customer that a path names; None where that is nobody's id."""
    return uuid.UUID(text) if _UUID.fullmatch(text) else None


def read(query: QueryDict) -> Asked:
    """What a query asks for.

    Raises:
        ProblemError: INVALID_PARAMETERS, with every flaw of the query.
    """
    if len(query) > _MOST_PARAMETERS:
        detail = f"There are {len(query)} parameters; these are expected: {', '.join(NAMES)}."
        raise ProblemError(problems.INVALID_PARAMETERS, errors=[Detail("", "too-many", detail)])
    by = By.DAY
    days: dict[str, date] = {}
    flaws: list[Detail] = []
    for name, values in query.lists():
        try:
            text = _only(name, values)
            if name == "by":
                by = _by(text)
            else:
                days[name] = _day(text)
        except _FlawError as flaw:
            flaws.append(Detail(name[:_LONGEST_NAME], flaw.code, flaw.detail))
    period = Period(days.get("from"), days.get("to"))
    if period.first is not None and period.end is not None and period.first >= period.end:
        flaws.append(Detail("to", "range", "This day is not counted itself, so it must come after the one in `from`."))
    if flaws:
        raise ProblemError(problems.INVALID_PARAMETERS, errors=flaws)
    return Asked(period, by)


def _only(name: str, values: list[str]) -> str:
    """The one value of a parameter that there is."""
    if name not in NAMES:
        raise _FlawError("unknown", f"There is no such parameter; these are: {', '.join(NAMES)}.")
    if len(values) > 1:
        raise _FlawError("repeated", "This parameter is given more than once.")
    if not values[0]:
        raise _FlawError("empty", "A value is required; leave the parameter out where none is meant.")
    return values[0]


def _by(text: str) -> By:
    try:
        return By(text)
    except ValueError:
        raise _FlawError("choice", f"One of these is expected: {', '.join(By)}.") from None


def _day(text: str) -> date:
    match = _DAY.fullmatch(text)
    if match is None:
        raise _FlawError("format", "A day of UTC is expected, such as 2026-11-22.")
    if not _FIRST_YEAR <= int(match[1]) <= _LAST_YEAR:
        raise _FlawError("range", f"The day must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}.")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _FlawError("format", "There is no such day.") from None
