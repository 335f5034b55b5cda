"""What a list of events can be narrowed down by."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField, F, QuerySet, Value
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import Exact
from django_filters import Filter, FilterSet

from core.keys.domain import LARGEST_ID
from core.problems import Detail
from ledger.domain import values, weight
from ledger.domain.tag import KeyRing
from ledger.domain.values import ValueFlaw
from ledger.models import IssuanceEvent

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ValueField(forms.Field):
    """A value that one of ledger.domain.values reads, so that it is read as an order's is; None where not given."""

    def __init__(self, *, reader: Callable[[str], object], **options: Any) -> None:
        super().__init__(required=False, **options)
        self._reader = reader

    def clean(self, value: str | None) -> Any:
        """The value read; a text without a value is a flaw, where Django would pass over it."""
        if value is None:
            return None
        try:
            return self._reader(value)
        except ValueFlaw as flaw:
            raise ValidationError(flaw.detail, flaw.code) from None


class ValueFilter(Filter):  # type: ignore[misc]  # the package has no types
    """Filters by a value; ``reader`` reads it."""

    field_class = ValueField

    def __init__(self, field_name: str, lookup: str = "exact", *, reader: Callable[[str], object], **more: Any) -> None:
        super().__init__(field_name, lookup, label="", reader=reader, **more)
        del self.extra["required"]


class _PeriodForm(forms.Form):
    """The filters' values, which must fit together."""

    def clean(self) -> dict[str, Any]:
        """Refuse a period without a moment in it."""
        given = self.cleaned_data
        after, before = given.get("issued_after"), given.get("issued_before")
        if after is not None and before is not None and after >= before:
            self.add_error("issued_before", ValidationError("This must be later than `issued_after`.", "range"))
        return given


def _moment(text: str) -> datetime:
    return _EPOCH + timedelta(microseconds=values.moment(text))


class EventFilters(FilterSet):  # type: ignore[misc]  # the package has no types
    """The filters; all of them together must hold."""

    customer_id = ValueFilter("customer_tag", reader=values.uuid, method="of_customer")
    origin_country_id = ValueFilter("origin", reader=values.country, method="of_value")
    destination_country_id = ValueFilter("destination", reader=values.country, method="of_value")
    route = ValueFilter("origin", reader=values.route, method="of_route")
    weight_band = ValueFilter("weight_band", reader=partial(values.whole, low=0, high=weight.HIGHEST))
    issued_after = ValueFilter("requested_at", "gte", reader=_moment)
    issued_before = ValueFilter("requested_at", "lt", reader=_moment)
    request_id = ValueFilter("request_id", reader=lambda text: UUID(bytes=values.uuid(text)), method="of_value")
    principal = ValueFilter("principal", reader=partial(values.whole, low=1, high=LARGEST_ID), method="of_principal")

    class Meta:
        """Where a period's two ends are compared."""

        model = IssuanceEvent
        fields = ()
        form = _PeriodForm

    def __init__(self, texts: dict[str, str], ring: KeyRing, *, customer_id: bytes | None = None) -> None:
        """Take the texts by parameter; ``customer_id``, of a key bound to it, is the one customer that is shown."""
        super().__init__(texts)
        self._ring = ring
        self._bound_to = customer_id

    @property
    def flaws(self) -> list[Detail]:
        """What is wrong with the values."""
        return [
            Detail(name, error.code, error.message)
            for name, errors in self.errors.as_data().items()
            for error in errors
        ]

    @property
    def chosen(self) -> dict[str, Any]:
        """What is asked for, whichever way it was written; only without flaws."""
        return {name: value for name, value in self.form.cleaned_data.items() if value is not None}

    def filter_queryset(self, queryset: QuerySet[IssuanceEvent]) -> QuerySet[IssuanceEvent]:
        """The events that are asked for and may be shown."""
        found: QuerySet[IssuanceEvent] = super().filter_queryset(queryset)
        return found if self._bound_to is None else self.of_customer(found, "customer_id", self._bound_to)

    def of_customer(self, queryset: QuerySet[IssuanceEvent], name: str, customer_id: bytes) -> QuerySet[IssuanceEvent]:
        """Those of a customer, by the pseudonyms that the live keys make: the id itself never leaves this process."""
        if self._bound_to not in {None, customer_id}:
            return queryset.none()
        return queryset.filter(customer_tag__in=[tag for _, tag in self._ring.tags(customer_id)])

    def of_route(self, queryset: QuerySet[IssuanceEvent], name: str, route: tuple[str, str]) -> QuerySet[IssuanceEvent]:
        """Those of a route."""
        return self.of_value(self.of_value(queryset, "origin", route[0]), "destination", route[1])

    def of_principal(self, queryset: QuerySet[IssuanceEvent], name: str, principal: int) -> QuerySet[IssuanceEvent]:
        """Those that a key issued; a bloom filter is asked only for what is of its column's very type."""
        return self.of_value(queryset, name, Cast(Value(principal), BigIntegerField()))

    def of_value(self, queryset: QuerySet[IssuanceEvent], name: str, value: object) -> QuerySet[IssuanceEvent]:
        """Those that have a value in a column that the block ranges know.

        The planner thinks that a value is in few ranges if it is in few rows. So it would read most of the table for a
        customer's few events of a common route, were the ranges not kept out of it.
        """
        of_one_customer = "customer_id" in self.chosen or self._bound_to is not None
        return queryset.filter(Exact(Coalesce(name, name) if of_one_customer else F(name), value))
