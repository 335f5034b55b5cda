"""The ledger browser: a number by what its label says, or the newest events, narrowed down and page by page.

It goes by the API's list (ledger.listing), which never counts or reads the whole table.
"""

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from core.problems import ProblemError
from ledger import listing, places, runtime
from ledger.api import asked, reads
from ledger.api.asked import Asked
from ledger.api.filters import EventFilters
from ledger.domain import entry, weight
from ledger.domain.form import grouped
from ledger.listing import Leaf, Query
from reports.console import fields
from reports.console.frame import page, render, zone

_ROWS: Final = 50


class SearchForm(forms.Form):
    """A number, as a label has it: in groups, with hyphens, in small letters."""

    number = forms.CharField(
        max_length=64,
        widget=forms.TextInput({"class": f"{fields.INPUT} c-mono", "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_number(self) -> str:
        """The number in its stored form; whether it was issued is another question."""
        try:
            return reads.number(self.cleaned_data["number"])
        except ProblemError as error:
            raise ValidationError(error.sentence or "This can't be a number of ours. Compare the label.") from None


class FilterForm(forms.Form):
    """What the events are narrowed down by."""

    origin = fields.country_field("From country")
    destination = fields.country_field("To country")
    weight = fields.weight_field()
    first = fields.DayField(label="From day")
    last = fields.DayField(label="To day")

    def clean(self) -> dict[str, Any]:
        """Refuse a period without a day in it."""
        given = self.cleaned_data
        if given.get("first") and given.get("last") and given["first"] > given["last"]:
            self.add_error("last", "This day must not come before the other.")
        return given


@page
@require_safe
def ledger(request: HttpRequest) -> HttpResponse:
    """Find a number, or list the events."""
    search = SearchForm(request.GET if "number" in request.GET else None)
    if search.is_valid():
        return HttpResponseRedirect(reverse("admin:ledger-event", args=[search.cleaned_data["number"]]))
    form = FilterForm(request.GET)
    context: dict[str, Any] = {"search": search, "form": form, "zone": zone(), "rows": None}
    if form.is_valid():
        context |= _listed(form.cleaned_data, request.GET.get("cursor") or None)
    return render(request, "ledger.html", "Ledger", **context)


def _listed(given: dict[str, Any], cursor: str | None) -> dict[str, Any]:
    """A page of the list; raises ProblemError where the cursor is not of this list."""
    filters = EventFilters(_texts(given), runtime.key_ring(settings.ENV))
    if not filters.is_valid():
        raise AssertionError("What the form lets through, the filters do.")
    chosen = filters.chosen
    context = msgspec.json.encode(("console", chosen), order="sorted")
    extents, place = asked.unsealed(cursor, context)
    query = Query(
        filters.qs,
        chosen.get("issued_after"),
        chosen.get("issued_before"),
        places.published() if extents is None else extents,
        descending=True,
    )
    wanted = Asked(query, asked.JSON, place, _ROWS, context)
    found = listing.page(query, place, _ROWS)
    kept = {name: str(value) for name, value in given.items() if value is not None}

    def link(sealed: str | None) -> str | None:
        return None if sealed is None else f"?{urlencode(kept | {'cursor': sealed})}"

    return {
        "rows": [_row(leaf) for leaf in found.leaves],
        "size": f"{places.size(query.extents):,}",
        "newer": link(wanted.cursor(found.previous)),
        "older": link(wanted.cursor(found.following)),
        "filtered": bool(kept),
    }


def _texts(given: dict[str, Any]) -> dict[str, str]:
    """The filters as the API would be asked for them."""
    texts = {
        "origin_country_id": given["origin"],
        "destination_country_id": given["destination"],
        "weight_band": None if given["weight"] is None else str(given["weight"]),
        "issued_after": given["first"] and fields.midnight(given["first"], zone()).isoformat(),
        "issued_before": given["last"] and fields.midnight(given["last"] + timedelta(days=1), zone()).isoformat(),
    }
    return {name: text for name, text in texts.items() if text is not None}


def _row(leaf: Leaf) -> dict[str, Any]:
    event = leaf.event
    return {
        "number": event.number,
        "grouped": grouped(event.number),
        "when": entry.timestamp(event.requested_at)[:19].replace("T", " "),
        "origin": event.origin,
        "destination": event.destination,
        "weight": weight.label(event.weight_band),
        "leaf": f"{leaf.leaf_index:,}",
    }
