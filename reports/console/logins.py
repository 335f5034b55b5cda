"""Logging in and out, and changing the password, which a one-time password allows alone."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST
from unfold.forms import AuthenticationForm
from unfold.widgets import BASE_INPUT_CLASSES

from core.staff import store
from core.staff.models import StaffUser
from reports.console.frame import CONSOLE, page, render, told

_INPUT: Final = {"class": " ".join(BASE_INPUT_CLASSES)}


class LoginForm(AuthenticationForm):  # type: ignore[misc]  # the package has no types
    """Name and password; one answer to whatever is wrong with them."""

    error_messages = {  # noqa: RUF012  # as Django declares it
        "invalid_login": "Name or password is wrong, or tries came too fast: after five in vain, wait up to a minute.",
        "inactive": "Name or password is wrong, or tries came too fast: after five in vain, wait up to a minute.",
    }


class PasswordForm(PasswordChangeForm):
    """The old password, and twice a new one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget = forms.PasswordInput(_INPUT | field.widget.attrs)

    def clean_new_password1(self) -> str:
        """Refuse the one that is to be changed."""
        new: str = self.cleaned_data["new_password1"]
        if new == self.cleaned_data.get("old_password"):
            raise ValidationError("This is the old password.")
        return new

    def save(self, commit: bool = True) -> StaffUser:  # noqa: FBT001, FBT002  # as Django has it
        """Keep it; sessions elsewhere end, since they name the old one."""
        user: StaffUser = super().save(commit=False)
        user.one_time = False
        user.save(update_fields=["password", "one_time"])
        return user


CONSOLE.login_form = LoginForm


@told
@csrf_protect
def login(request: HttpRequest) -> HttpResponse:
    """Let staff in."""
    response: HttpResponse = CONSOLE.login(request)
    return response


@told
@csrf_protect
@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """End all sessions of whoever asks: a cookie can't be taken back, so what it names is made old."""
    if request.user.is_authenticated:
        store.end_sessions(request.user.pk)
    request.session.flush()
    return HttpResponseRedirect(reverse("admin:login"))


@page
def change_password(request: HttpRequest) -> HttpResponse:
    """Change one's own password."""
    user = request.user
    assert isinstance(user, StaffUser)  # noqa: S101  # only staff get here
    form = PasswordForm(user, request.POST if request.method == "POST" else None)
    if form.is_valid():
        update_session_auth_hash(request, form.save())
        messages.success(request, "The password is changed. Whoever was logged in with the old one is logged out.")
        return HttpResponseRedirect(reverse("admin:index"))
    return render(request, "password.html", "Change password", form=form, one_time=user.one_time)
