"""API keys: who has one, a new one, which is shown once, and the end of one."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from core.keys import domain, store
from core.keys.callers import FRESH
from core.keys.domain import Scope
from core.keys.models import ApiKey
from reports.console import fields
from reports.console.frame import page, render

_SHOWN: Final = 200
_LONGEST_NAME: Final = 100
_MOST_DAYS: Final = 36_500
_MEANINGS: Final = {
    Scope.ISSUE: "issue: issue numbers",
    Scope.AUDIT: "audit: read the ledger and its entries",
    Scope.REPORTS: "reports: read the reports and customers' usage",
    Scope.OPERATE: "operate: read the metrics",
}
_logger: Final = logging.getLogger(__name__)


class KeyForm(forms.Form):
    """A new key."""

    name = forms.CharField(
        max_length=_LONGEST_NAME,
        help_text="Of the system that will use it; no person's.",
        widget=forms.TextInput({"class": fields.INPUT, "autocomplete": "off"}),
    )
    scopes = forms.TypedMultipleChoiceField(
        label="It may",
        choices=[(str(scope), meaning) for scope, meaning in _MEANINGS.items()],
        coerce=Scope,
        widget=forms.CheckboxSelectMultiple({"class": fields.CHECKBOX}),
    )
    days = forms.IntegerField(
        label="Days until it ends",
        required=False,
        min_value=1,
        max_value=_MOST_DAYS,
        help_text="Empty: good until it is revoked.",
        widget=forms.NumberInput({"class": fields.INPUT}),
    )
    customer = fields.customer_field(
        required=False,
        help_text="Binds the key to this one customer. The id becomes a part of the key, and is kept nowhere else.",
    )

    def clean_name(self) -> str:
        """As api_key.sql and create_api_key want it."""
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError("A name has printable characters only.")
        return name


@page
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest) -> HttpResponse:
    """List the keys; make one, and show it in this answer alone."""
    form = KeyForm(request.POST if request.method == "POST" else None)
    made = None
    if form.is_valid():
        made = _made(request, form.cleaned_data)
        form = KeyForm()
    now = datetime.now(UTC)
    found = ApiKey.objects.order_by("-created_at")[: _SHOWN + 1]
    rows = [_row(key, now) for key in found]
    return render(
        request, "keys.html", "API keys", form=form, made=made, rows=rows[:_SHOWN], more=len(rows) > _SHOWN, most=_SHOWN
    )


@page
@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, identity: int) -> HttpResponse:
    """Ask whether a key is to end, and end it."""
    key = ApiKey.objects.filter(id=identity).first() if identity <= domain.LARGEST_ID else None
    if key is None:
        raise Http404
    if request.method == "POST":
        if store.revoke(identity):
            _logger.info("API key %s was revoked in the console by staff user %s.", identity, request.user.pk)
            messages.success(request, f"The key “{key.name}” is revoked; it stops within {FRESH:.0f} seconds.")
        else:
            messages.info(request, f"The key “{key.name}” was revoked before.")
        return HttpResponseRedirect(reverse("admin:keys"))
    return render(request, "revoke.html", "Revoke a key", key=_row(key, datetime.now(UTC)))


def _made(request: HttpRequest, given: dict[str, Any]) -> str:
    days = given["days"]
    text = store.create(
        given["name"],
        given["scopes"],
        customer_id=given["customer"],
        expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
    )
    named = domain.read(text)
    _logger.info("API key %s was made in the console by staff user %s.", named and named.id, request.user.pk)
    return text


def _row(key: ApiKey, now: datetime) -> dict[str, Any]:
    if key.revoked_at is not None:
        state, kind = f"revoked {_minute(key.revoked_at)}", "danger"
    elif key.expires_at is None:
        state, kind = "good", "success"
    elif key.expires_at > now:
        state, kind = f"good until {_minute(key.expires_at)}", "success"
    else:
        state, kind = f"expired {_minute(key.expires_at)}", "warning"
    return {
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes,
        "bound": "one" if key.bound else "any",
        "made": _minute(key.created_at),
        "used": "never" if key.last_used_at is None else _minute(key.last_used_at),
        "state": state,
        "kind": kind,
        "open": key.revoked_at is None,
    }


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
