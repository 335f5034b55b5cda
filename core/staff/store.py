"""Staff in the database: made, let in again, ended."""

import re
import secrets
from typing import Final

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import F

from core.staff.models import StaffUser

NAME: Final = re.compile("[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
"""As staff.sql has it."""
_BYTES: Final = 12
"""Of a one-time password: 96 random bits, so nobody guesses it before it is changed."""


def create(name: str) -> str | None:
    """Make a login and return its one-time password, which is nowhere else; None: there is such a name already.

    Raises:
        django.db.DatabaseError: it could not be kept.
    """
    password = secrets.token_urlsafe(_BYTES)
    try:
        with transaction.atomic():
            StaffUser.objects.create(name=name, one_time=True, password=make_password(password))
    except IntegrityError:
        return None
    return password


def renew(name: str) -> str | None:
    """Give a login a new one-time password, end its sessions and let it in again; None: there is no such name."""
    password = secrets.token_urlsafe(_BYTES)
    changed = StaffUser.objects.filter(name=name).update(
        password=make_password(password), one_time=True, active=True, epoch=F("epoch") + 1
    )
    return password if changed else None


def end(name: str) -> bool:
    """Keep a login out, at once; whether there was one to end."""
    return bool(StaffUser.objects.filter(name=name, active=True).update(active=False, epoch=F("epoch") + 1))


def end_sessions(identity: int) -> None:
    """End whatever sessions a login has, wherever they are."""
    StaffUser.objects.filter(id=identity).update(epoch=F("epoch") + 1)
