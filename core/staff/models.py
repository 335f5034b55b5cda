"""Whoever may log in to the console, as Django reads them; core/staff/sql/ makes the tables and guards them."""

from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils.crypto import salted_hmac

_SESSIONS = "core.staff.sessions"


class StaffUser(AbstractBaseUser):
    """One login. All may do the same: the console writes nothing but API keys."""

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField(
        db_default=models.Func(function="clock_timestamp", output_field=models.DateTimeField())
    )
    epoch = models.IntegerField(db_default=0)  # sessions name it, so raising it ends them all
    one_time = models.BooleanField()  # the password was printed, and must be changed before anything else
    active = models.BooleanField(db_default=True)
    name = models.TextField(unique=True)
    password = models.TextField()  # a hash
    last_login = None  # nobody needs to know

    USERNAME_FIELD = "name"
    objects: ClassVar[BaseUserManager[Self]] = BaseUserManager()

    class Meta:
        """The name that the SQL file uses too."""

        db_table = "staff_user"

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:  # type: ignore[override]  # Django's base class has an attribute
        """What Django calls it."""
        return self.active

    @property
    def is_staff(self) -> bool:
        """What the admin asks."""
        return self.active

    def has_usable_password(self) -> bool:
        """Always: nobody logs in by other means."""
        return True

    def _get_session_auth_hash(self, secret: str | None = None) -> Any:
        """What a session must name to go on: another password ends it, and so does another epoch."""
        return salted_hmac(_SESSIONS, f"{self.epoch} {self.password}", secret=secret, algorithm="sha256").hexdigest()
