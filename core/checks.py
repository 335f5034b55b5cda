"""System checks of the database: does the login that serves have more power than it needs?"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core import checks
from django.db import DatabaseError, connections

from core.databases import APPLICATION_ROLE

_SERVING = "default"

# The login, whatever role the session has taken on: it can RESET ROLE. MEMBER counts memberships that are neither
# inherited nor open to SET ROLE too, since an administrator of a role can give itself both. The owner of the database
# is pg_database_owner, which owns the schema public and so may drop what is in it.
_POWERS = """
    SELECT session_user,
           (SELECT rolsuper FROM pg_roles WHERE rolname = session_user),
           pg_has_role(session_user, 'tracking_owner', 'MEMBER'),
           pg_has_role(session_user, (SELECT datdba FROM pg_database WHERE datname = current_database()), 'MEMBER')
        OR pg_has_role(session_user, (SELECT nspowner FROM pg_namespace WHERE nspname = 'public'), 'MEMBER')
"""
_HINT = (
    "Serve with a login of its own (DATABASE_URL), made by: CREATE ROLE <login> LOGIN PASSWORD '…' IN ROLE "
    f"{APPLICATION_ROLE}; and migrate with the other (DATABASE_OWNER_URL). Where the platform gives one login only, "
    f"silence this warning: sessions act as {APPLICATION_ROLE}, but whoever has the password can undo that."
)


def serving_login(*, databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Warn where the login behind DATABASE_URL could change the ledger; `check --database default` asks."""
    if _SERVING not in (databases or ()):
        return []
    try:
        with connections[_SERVING].cursor() as cursor:
            cursor.execute(_POWERS)
            login, superuser, owner, landlord = cursor.fetchone()
    except DatabaseError as error:
        return [
            checks.Error(
                f"The database can't be used with DATABASE_URL: {error}".strip(),
                hint=f"Run `manage.py migrate`, and make the login a member of {APPLICATION_ROLE}.",
                id="core.E001",
            )
        ]
    powers = list(_powers(superuser=superuser, owner=owner, landlord=landlord))
    if not powers:
        return []
    return [checks.Warning(f"The login {login} that serves {', and '.join(powers)}.", hint=_HINT, id="core.W001")]


def _powers(*, superuser: bool, owner: bool, landlord: bool) -> Iterator[str]:
    if superuser:
        yield "is a superuser"
        return  # which includes the others
    if owner:
        yield "can take on the role tracking_owner, which owns the tables"
    if landlord:
        yield "owns the database or its schema, and so can drop the tables"
