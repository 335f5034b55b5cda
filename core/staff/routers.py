"""Keeps Django's own tables of users, permissions and admin entries out of the database: nothing here needs them."""

from typing import Any, Final

_NONE: Final = frozenset({"auth", "contenttypes", "admin"})


class Tableless:
    """The apps that are installed for their code alone.

    Staff have a table of their own and all the same rights, and the console registers no model.
    """

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Whether an app may have tables; None: that is not decided here."""
        return False if app_label in _NONE else None
