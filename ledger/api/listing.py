"""``GET /v1/tracking-numbers``: the ledger's events as a list, page by page or all that match as a file."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import batched
from typing import Final

from django.db import DatabaseError, DataError
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from core import problems, replica, streaming
from core.keys.domain import Caller, Scope
from core.keys.drf import caller_of
from core.negotiation import OneRepresentation
from core.problems import ProblemError
from ledger import listing, places, shards
from ledger.api import asked, list_contract, listed, parameters
from ledger.api.asked import Asked
from ledger.api.filters import EventFilters
from ledger.listing import Leaf, Place, Query
from ledger.log import LogError
from ledger.models import IssuanceEvent

_BATCH: Final = 1000
"""Events of an export that are read at once."""
_PIECE: Final = 125
"""Events of it that are sent at once: some 40 KB, of which ten pieces may wait to be sent (a2wsgi)."""


class TrackingNumberListViewSet(GenericViewSet[IssuanceEvent]):
    """The list; a key that is bound to a customer sees that customer's events, whatever it asks for."""

    queryset = IssuanceEvent.objects.all()
    filterset_class = EventFilters
    scope = Scope.AUDIT
    for_bound_keys = True
    content_negotiation_class = OneRepresentation  # ours: the query may choose the form, and wins over Accept

    @extend_schema(**list_contract.LIST)
    def list(self, request: Request) -> HttpResponseBase:
        """Give a page, or the file."""
        django: HttpRequest = request._request  # noqa: SLF001  # DRF wraps Django's request, and offers no other way
        with _readable():
            response = replica.ask(lambda: _answer(django, caller_of(request)))
        response["Cache-Control"] = "no-store"
        patch_vary_headers(response, ["Accept"])
        return response

    @extend_schema(exclude=True)
    def options(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:  # type: ignore[override]  # no body
        """What may be done here."""
        return HttpResponse(status=204, headers={"Allow": "GET, HEAD, OPTIONS"})


def _answer(request: HttpRequest, caller: Caller | None) -> HttpResponseBase:
    wanted = asked.read(request, caller)
    return _page(request, wanted) if wanted.media_type == asked.JSON else _file(request, wanted)


@contextmanager
def _readable() -> Iterator[None]:
    """Word what keeps the ledger from being read.

    Raises:
        ProblemError: in place of it.
    """
    try:
        yield
    except (LogError, DataError, OverflowError, ValueError) as error:
        problems.logger.critical("The log contradicts itself: %s", error)
        raise ProblemError(problems.LOG_INCONSISTENT) from None
    except DatabaseError as error:
        raise shards.unavailable(error) from None


def _page(request: HttpRequest, wanted: Asked) -> HttpResponseBase:
    found = listing.page(wanted.query, wanted.place, wanted.limit)
    query = parameters.without(request.META.get("QUERY_STRING", "").encode("latin-1"), "cursor").decode("latin-1")

    def link(place: Place | None) -> str | None:
        cursor = wanted.cursor(place)
        return None if cursor is None else f"{request.path}?{query}{'&' if query else ''}cursor={cursor}"

    body = listed.page(
        found.leaves,
        following=link(found.following),
        previous=link(found.previous),
        size=places.size(wanted.query.extents),
        shards=places.by_shard(wanted.query.extents),
    )
    return HttpResponse(body, content_type=asked.JSON)


def _file(request: HttpRequest, wanted: Asked) -> HttpResponseBase:
    if request.method == "HEAD":
        return StreamingHttpResponse((), content_type=_CONTENT_TYPES[wanted.media_type])
    head, lines, suffix = _FORMS[wanted.media_type]
    return streaming.respond(
        request,
        _chunks(wanted.query, head(), lines),
        content_type=_CONTENT_TYPES[wanted.media_type],
        filename=f"tracking-numbers-{places.size(wanted.query.extents)}.{suffix}",
    )


def _chunks(query: Query, head: bytes, lines: Callable[[Iterable[Leaf]], bytes]) -> Generator[bytes]:
    """The file; its head comes with the first lines, so that whatever keeps them from being read is known by then."""
    for leaves in listing.walk(query, _BATCH):
        for piece in batched(leaves, _PIECE):
            yield head + lines(piece)
            head = b""
    if head:
        yield head


_CONTENT_TYPES: Final = {asked.CSV: "text/csv; charset=utf-8; header=present", asked.JSON_LINES: asked.JSON_LINES}
_FORMS: Final = {
    asked.CSV: (listed.csv_head, listed.csv_lines, "csv"),
    asked.JSON_LINES: (lambda: b"", listed.json_lines, "jsonl"),
}
