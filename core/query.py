"""Query parameters where there are none to give."""

from rest_framework.request import Request

from core import problems
from core.problems import Detail, ProblemError

_LONGEST_NAME = 64


def nothing(request: Request) -> None:
    """Refuse every query parameter: whoever gives one expects something of it.

    Raises:
        ProblemError: there are some; all are named.
    """
    if not request.META.get("QUERY_STRING"):
        return
    unknown = [
        Detail(name[:_LONGEST_NAME], "unknown", "There is no such parameter; this operation takes none.")
        for name in request.query_params
    ]
    if unknown:
        raise ProblemError(problems.INVALID_PARAMETERS, errors=unknown)
