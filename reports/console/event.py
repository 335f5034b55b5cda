"""The page of one number: its event, its place in the log, its barcode, and its proof, which the browser verifies."""

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from core import problems
from core.keys.models import ApiKey
from core.problems import ProblemError
from ledger import lookup, reading
from ledger.api import reads
from ledger.checkpoints import Checkpoints
from ledger.domain import entry, merkle, weight
from ledger.domain.form import grouped
from ledger.listing import COLUMNS
from ledger.lookup import Found
from ledger.models import IssuanceEvent
from reports.console.frame import page, render

_CHECKPOINTS: Final = Checkpoints()


@page
@require_safe
def event(request: HttpRequest, number: str) -> HttpResponse:
    """Show all that is known of it."""
    wanted, key = reads.number(number), reads.verifier(settings.ENV)
    contradicts = False
    try:
        found = reads.asked(lambda connection: lookup.look_up(connection, key, wanted, None, _CHECKPOINTS), newest=True)
    except ProblemError as error:
        if error.problem is not problems.LOG_INCONSISTENT:
            raise
        found, contradicts = _as_it_stands(wanted), True
    return render(
        request,
        "event.html",
        grouped(wanted),
        number=wanted,
        contradicts=contradicts,
        path=f"/v1/tracking-numbers/{wanted}",
        facts=_facts(found),
        leaf=None if found.leaf_index is None else f"{found.leaf_index:,}",
        entry=found.entry.decode(),
        leaf_hash=found.leaf_hash.hex(),
        sealed_in=found.sealed_in,
        verifier_key=str(key),
    )


def _as_it_stands(number: str) -> Found:
    """The row of a number that the log contradicts, for whoever has to look at it; raises as reading.event does."""
    row = IssuanceEvent.objects.filter(number=number).values_list(*COLUMNS).first()
    if row is None:
        raise ProblemError(problems.LOG_INCONSISTENT)
    event = reading.event(row)
    leaf = entry.encode(event)
    return Found(event, leaf, merkle.leaf_hash(leaf), None, None)


def _facts(found: Found) -> list[tuple[str, Any, bool]]:
    """What it is called, what it is, and whether it is for machines rather than people."""
    event = found.event
    return [
        ("Issued", entry.timestamp(event.requested_at), False),
        ("Ordered", entry.timestamp(event.order_created_at), False),
        ("Route", f"{event.origin} → {event.destination}", False),
        ("Weight", weight.label(event.weight_band), False),
        ("Issued by", _principal(event.principal), False),
        ("Request id", str(event.request_id), True),
        ("Customer tag", event.customer_tag.hex(), True),
        ("Customer key", str(event.customer_key_id), False),
    ]


def _principal(identity: int | None) -> str:
    """The key that asked, by the name that it has here."""
    if identity is None:
        return "anybody (no API key)"
    key = ApiKey.objects.filter(id=identity).only("name").first()
    return f"API key {identity}" if key is None else f"{key.name} (API key {identity})"
