"""What one customer was issued. The id comes in a form's body and is hashed at once: no address or log has it."""

import csv
import io
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from ledger import runtime
from ledger.domain import weight
from reports import counted, customers
from reports.console import charts, fields
from reports.console.charts import MOST_ROUTES, Chart
from reports.console.frame import page, render, zone
from reports.counted import Period
from reports.customers import By

_DAYS: Final = 30
_MOST_DAYS: Final = 400
"""Of a chart."""


class CustomerForm(forms.Form):
    """Whose numbers, and of which days."""

    customer = fields.customer_field(required=True, help_text="It is hashed to be looked up, and kept nowhere.")
    first = fields.DayField(label="From day")
    last = fields.DayField(label="To day")

    def clean(self) -> dict[str, Any]:
        """Fill in the last 30 days, and refuse a period that no chart shows."""
        given = self.cleaned_data
        if self.errors:
            return given
        given["last"] = given["last"] or max(counted.today(), given["first"] or counted.today())
        given["first"] = given["first"] or given["last"] - timedelta(days=_DAYS - 1)
        if given["first"] > given["last"]:
            self.add_error("last", "This day must not come before the other.")
        elif given["last"] - given["first"] >= timedelta(days=_MOST_DAYS):
            self.add_error("first", f"At most {_MOST_DAYS} days are shown at once.")
        return given


@page
@require_http_methods(["GET", "HEAD", "POST"])
def usage(request: HttpRequest) -> HttpResponse:
    """Ask for a customer; show what was issued, or give it as a file."""
    form = CustomerForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"form": form, "zone": zone(), "charts": None}
    if form.is_valid():
        given = form.cleaned_data
        tags = [tag for _, tag in runtime.key_ring(settings.ENV).tags(given["customer"])]
        period = Period(given["first"], given["last"] + timedelta(days=1))
        if "csv" in request.POST:
            return _file(tags, period)
        shown = _charts(tags, period)
        again = {"customer": request.POST["customer"], "first": str(given["first"]), "last": str(given["last"])}
        context |= {"charts": shown, "total": f"{shown[0].total:,}", "again": again}
    return render(request, "customer.html", "Customer usage", **context)


def _charts(tags: list[bytes], period: Period) -> list[Chart]:
    assert period.first is not None  # noqa: S101  # the form has filled them in
    assert period.end is not None  # noqa: S101
    days = dict(customers.count(tags, period, By.DAY).rows)
    routes = sorted(customers.count(tags, period, By.ROUTE).rows, key=lambda row: (-row[2], row[:2]))
    return [
        charts.by_day(period.first, period.end, days),
        charts.by_route(routes[:MOST_ROUTES]),
        charts.by_weight_band(customers.count(tags, period, By.WEIGHT_BAND).rows),
    ]


def _file(tags: list[bytes], period: Period) -> HttpResponse:
    """All of it as CSV: a row for each day, route and weight band that the customer had, of 400 days at most."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(["day", "origin_country_id", "destination_country_id", "weight_band", "count"])
    with customers.export(tags, period) as rows:
        for batch in rows:
            writer.writerows((day, origin, to, weight.label(band), count) for day, origin, to, band, count in batch)
    headers = {"Content-Disposition": 'attachment; filename="customer-usage.csv"'}
    return HttpResponse(lines.getvalue(), content_type="text/csv; charset=utf-8; header=present", headers=headers)
