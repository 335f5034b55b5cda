"""What a request for a list asks for, and where in the list it is."""

import struct
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import msgspec
from django.conf import settings
from django.http import HttpRequest

from core import cursors, problems, replica
from core.cursors import CursorError
from core.keys.domain import Caller
from core.problems import Detail, ProblemError
from core.replica import BehindError
from ledger import places, runtime
from ledger.api import parameters
from ledger.api.filters import EventFilters
from ledger.domain import values
from ledger.domain.values import ValueFlaw
from ledger.listing import Place, Query
from ledger.places import Extent, Extents

JSON, CSV, JSON_LINES = "application/json", "text/csv", "application/jsonl"
FORMATS: Final = {"json": JSON, "csv": CSV, "jsonl": JSON_LINES}
ORDERS: Final = ("serial", "-serial")
MOST, USUAL = 1000, 100
"""Events of a page."""

_PLACE: Final = struct.Struct("!Q?")  # serial, backward
_EXTENT: Final = struct.Struct("!QQ")  # size, top


_OPTIONS: Final[dict[str, Callable[[str], object]]] = {
    "order": partial(values.choice, choices=ORDERS),
    "limit": partial(values.whole, low=1, high=MOST),
    "cursor": str,
    "format": partial(values.choice, choices=FORMATS),
}
"""What may be asked for beside the filters."""
NAMES: Final[tuple[str, ...]] = (*EventFilters.base_filters, *_OPTIONS)


class Asked(NamedTuple):
    """What is asked for.

    Attributes:
        query: what is listed.
        media_type: as what.
        place: where the page is; None: it is the first.
        limit: events of the page at most.
        context: what tells this list from others.
    """

    query: Query
    media_type: str
    place: Place | None
    limit: int
    context: bytes

    def cursor(self, place: Place | None) -> str | None:
        """The cursor for a place in this list."""
        if place is None:
            return None
        return cursors.seal(
            b"".join((_PLACE.pack(*place), *(_EXTENT.pack(*each) for each in self.query.extents))), self.context
        )


def read(request: HttpRequest, caller: Caller | None) -> Asked:
    """What a request asks for.

    Raises:
        ProblemError: INVALID_PARAMETERS with every flaw, or NOT_ACCEPTABLE.
        As ledger.places.published.
    """
    bound_to = None if caller is None else caller.customer_id
    given = parameters.read(request.META.get("QUERY_STRING", "").encode("latin-1"), NAMES)
    filters = EventFilters(given.texts, runtime.key_ring(settings.ENV), customer_id=bound_to)
    wrong = [*given.flaws, *filters.flaws, *_flaws(given.texts)]
    media_type = FORMATS.get(given.texts.get("format", "")) or request.get_preferred_type(list(FORMATS.values()))
    if media_type not in {JSON, None}:
        whole = "An export holds everything that matches: leave this out, or ask for JSON."
        wrong += [Detail(name, "not-allowed", whole) for name in ("cursor", "limit") if name in given.texts]
    if wrong:
        raise ProblemError(problems.INVALID_PARAMETERS, errors=wrong)
    if media_type is None:
        raise ProblemError(problems.NOT_ACCEPTABLE)
    chosen, texts = filters.chosen, given.texts
    descending = texts.get("order") == "-serial"
    context = msgspec.json.encode((chosen, descending, bound_to), order="sorted")
    extents, place = unsealed(texts.get("cursor"), context)
    if extents is None:
        extents = places.published()
    elif replica.in_use() and _lacks(places.published(), extents):
        raise BehindError
    query = Query(
        filters.qs,
        chosen.get("issued_after"),
        chosen.get("issued_before"),
        extents,
        descending,
    )
    return Asked(query, media_type, place, int(texts.get("limit", USUAL)), context)


def _lacks(present: Extents, wanted: Extents) -> bool:
    """Whether a log is shorter than the list that is gone on with."""
    sizes = {extent.first: extent.size for extent in present}
    return any(sizes.get(extent.first, 0) < extent.size for extent in wanted)


def _flaws(texts: dict[str, str]) -> list[Detail]:
    """What is wrong with the options."""
    found = []
    for name, reader in _OPTIONS.items():
        try:
            if name in texts:
                reader(texts[name])
        except ValueFlaw as flaw:
            found.append(Detail(name, flaw.code, flaw.detail))
    return found


def unsealed(cursor: str | None, context: bytes) -> tuple[Extents | None, Place | None]:
    """The list that a cursor goes on with, and where; None: there is no cursor.

    Raises:
        ProblemError: INVALID_PARAMETERS: it is no cursor of this list.
    """
    if cursor is None:
        return None, None
    try:
        packed = cursors.unseal(cursor, context)
    except CursorError:
        detail = "This is no cursor of this list. Follow `next` and `previous` as they are, or begin without a cursor."
        raise ProblemError(problems.INVALID_PARAMETERS, errors=[Detail("cursor", "cursor", detail)]) from None
    extents = tuple(Extent(*each) for each in _EXTENT.iter_unpack(packed[_PLACE.size :]))
    return extents, Place(*_PLACE.unpack_from(packed))
