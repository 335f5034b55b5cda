"""How a login is checked: slowly, one at a time, and never saying whether there is such a name."""

import threading
from typing import Any, Final

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from core.staff import tries
from core.staff.models import StaffUser

_LONGEST: Final = 256
"""Characters of a name or a password; a longer one is neither."""
_checking: Final = threading.Lock()
"""Held while a password is hashed, some tenths of a second of CPU that must not keep the process from issuing."""


class StaffBackend(ModelBackend):
    """Django's, behind a count of tries; there are no groups and permissions, so nothing of those is asked."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **more: Any
    ) -> StaffUser | None:
        """Whoever has this name and password.

        Raises:
            PermissionDenied: this try came too soon after others, and was not looked at.
        """
        if not username or not password or max(len(username), len(password)) > _LONGEST or "\0" in username + password:
            return None
        if not _checking.acquire(blocking=False):  # to wait here would hold a thread that others need
            raise PermissionDenied
        try:
            if not tries.admit(username):
                raise PermissionDenied
            found = super().authenticate(request, username=username, password=password)
        finally:
            _checking.release()
        if not isinstance(found, StaffUser):
            return None
        tries.forget(username)
        return found
