"""One number over HTTP: what an auditor is told of it, and its barcode for whoever has it."""

from functools import lru_cache
from typing import Literal

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.viewsets import ViewSetMixin

from core import query, replica
from core.keys.domain import Scope
from core.keys.drf import caller_of
from core.replica import BehindError
from ledger import across, lookup, runtime
from ledger.api import looked_up, number_contract, reads
from ledger.api.views import FOR_EVER, LogView
from ledger.checkpoints import Checkpoints
from ledger.log import Connection
from ledger.shards import coordinated

_CHECKPOINTS = Checkpoints()
_key_ring = lru_cache(1)(runtime.key_ring)


class TrackingNumberViewSet(ViewSetMixin, LogView):
    """Numbers that were issued; to a key that is bound to a customer there are only that customer's."""

    scope = Scope.AUDIT
    for_bound_keys = True

    @extend_schema(**number_contract.LOOK_UP)
    def retrieve(self, request: Request, number: str) -> HttpResponse:
        """Give all that is known of a number."""
        query.nothing(request)
        wanted, tags = reads.number(number), _tags(request)

        def read(connection: Connection) -> bytes:
            if coordinated():
                found = across.look_up(connection, wanted, tags)
            else:
                found = lookup.look_up(connection, reads.verifier(settings.ENV), wanted, tags, _CHECKPOINTS)
            if found.leaf_index is None and replica.in_use():
                raise BehindError
            return looked_up.encode(found)

        headers = {"Cache-Control": "no-store"}
        return HttpResponse(reads.asked(read), content_type="application/json", headers=headers)


class BarcodeViewSet(ViewSetMixin, LogView):
    """The barcode of a number that was issued, for whoever has the number; it never changes."""

    scope: Scope | None = None
    authentication_classes = ()

    @extend_schema(**number_contract.BARCODE_SVG)
    def svg(self, request: Request, number: str) -> HttpResponse:
        """Give it as SVG."""
        return self._drawn(request, number, "svg", "image/svg+xml")

    @extend_schema(**number_contract.BARCODE_PNG)
    def png(self, request: Request, number: str) -> HttpResponse:
        """Give it as PNG."""
        return self._drawn(request, number, "png", "image/png")

    def _drawn(self, request: Request, text: str, form: Literal["svg", "png"], content_type: str) -> HttpResponse:
        from ledger import label  # noqa: PLC0415  # barcode and Pillow: a tenth of a start that few processes need

        query.nothing(request)
        wanted = reads.number(text)

        def read(connection: Connection) -> bytes:
            (across if coordinated() else lookup).issued(connection, wanted)
            return label.svg(wanted) if form == "svg" else label.png(wanted)

        return self.answer(request, read, content_type, cache={"public": True, **FOR_EVER})


def _tags(request: Request) -> list[bytes] | None:
    """The pseudonyms of the customer that the caller's key is bound to; None: it is bound to none."""
    caller = caller_of(request)
    if caller is None or caller.customer_id is None:
        return None
    return [tag for _, tag in _key_ring(settings.ENV).tags(caller.customer_id)]
