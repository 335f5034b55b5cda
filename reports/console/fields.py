"""The form fields of the console: values are read as the API reads them, and look as unfold's do."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import BASE_INPUT_CLASSES, CHECKBOX_CLASSES, SELECT_CLASSES

from ledger.domain import values, weight
from ledger.domain.values import ValueFlaw

INPUT: Final = " ".join(BASE_INPUT_CLASSES)
SELECT: Final = " ".join(SELECT_CLASSES)
CHECKBOX: Final = " ".join(CHECKBOX_CLASSES)

_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class ValueField(forms.Field):
    """A text that a reader of ledger.domain.values reads; None where it is empty."""

    def __init__(self, reader: Callable[[str], object], *, attrs: dict[str, str] | None = None, **options: Any) -> None:
        super().__init__(**options, widget=forms.TextInput({"class": INPUT, "autocomplete": "off"} | (attrs or {})))
        self._reader = reader

    def to_python(self, value: str | None) -> Any:
        """The value read."""
        text = (value or "").strip()
        if not text:
            return None
        try:
            return self._reader(text)
        except ValueFlaw as flaw:
            raise ValidationError(flaw.detail, flaw.code) from None


class DayField(ValueField):
    """A day, as date fields of browsers send it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_day, attrs={"type": "date"}, required=False, **options)


def customer_field(*, required: bool, help_text: str) -> ValueField:
    """A customer's id; its 16 bytes."""
    example = "de619854-b59b-425e-9db4-943979e1bd49"
    attrs = {"placeholder": example, "spellcheck": "false", "class": f"{INPUT} c-mono"}
    return ValueField(values.uuid, label="Customer id", required=required, help_text=help_text, attrs=attrs)


def country_field(label: str) -> ValueField:
    """A country's code."""
    return ValueField(values.country, label=label, required=False, attrs={"maxlength": "2", "placeholder": "any"})


def weight_field() -> forms.TypedChoiceField:
    """A weight band's code; None: any."""
    choices = [("", "any"), *((str(code), label) for code, label in enumerate(weight.LABELS))]
    return forms.TypedChoiceField(
        choices=choices, coerce=int, empty_value=None, required=False, widget=forms.Select({"class": SELECT})
    )


def midnight(day: date, zone: str) -> datetime:
    """When a day begins."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _day(text: str) -> date:
    if _DAY.fullmatch(text):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise ValueFlaw("format", "There is no such day.") from None
        if 1970 <= day.year < 9999:  # noqa: PLR2004  # as the API has it, but that the day after is one too
            return day
        raise ValueFlaw("range", "The day must lie in the years 1970 to 9998.")
    raise ValueFlaw("format", "A day is expected, such as 2026-11-22.")
