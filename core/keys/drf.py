"""DRF's side of the keys: who is calling, and whether that may call this. A view that doesn't say is closed."""

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core import problems
from core.keys import domain
from core.keys.callers import CALLERS, too_many
from core.keys.domain import Caller, Scope
from core.keys.store import InvalidKeyError
from core.problems import ProblemError
from core.throttle import address
from core.throttle.guesses import TooManyGuessesError

if TYPE_CHECKING:
    from rest_framework.views import APIView


class BearerKey(BaseAuthentication):
    """``Authorization: Bearer tna_…``; ``request.auth`` is then a Caller, and there is no user."""

    def authenticate(self, request: Request) -> tuple[None, Caller] | None:
        """The caller, or None where no key is given."""
        text = domain.bearer(request.META.get("HTTP_AUTHORIZATION", ""))
        if text is None:
            return None
        try:
            return None, CALLERS.recall(text) or CALLERS.look_up(text, address=address_of(request))
        except InvalidKeyError:
            raise ProblemError(problems.UNAUTHORIZED) from None
        except TooManyGuessesError as error:
            raise too_many(error) from None
        except DatabaseError:
            raise ProblemError(problems.DATABASE_UNAVAILABLE) from None

    def authenticate_header(self, request: Request) -> str:
        """What a 401 says in WWW-Authenticate."""
        return "Bearer"


def address_of(request: HttpRequest | Request) -> str:
    """Whose request this is, as far as addresses tell."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR")
    told = None if forwarded is None else forwarded.encode("latin-1")
    return address.client(request.META.get("REMOTE_ADDR") or "", told, settings.ENV.trusted_proxies)


def caller_of(request: Request) -> Caller | None:
    """Whoever calls; None is anybody."""
    return request.auth if isinstance(request.auth, Caller) else None


class Undeclared:
    """What a view needs that doesn't say what it needs: nobody has it."""


UNDECLARED: Final = Undeclared()


def needed(view: Any) -> Scope | Undeclared | None:
    """The scope that a view needs for what it is about to do; None: it is open to everybody.

    ``scopes`` of the view has it by action, else ``scope`` for all that the view does.
    """
    by_action: dict[str, Scope | None] = getattr(view, "scopes", {})
    action = getattr(view, "action", None)
    if action in by_action:
        return by_action[action]
    scope: Scope | Undeclared | None = getattr(view, "scope", UNDECLARED)
    return scope


class Scoped(BasePermission):
    """Lets a caller through whose key has the scope that the view declares.

    A key that is bound to a customer opens only views that say ``for_bound_keys``: those look at whose data it is.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Whether the caller may; says what is missing where not."""
        wanted = needed(view)
        does_nothing = request.method == "OPTIONS" or request.method not in view.allowed_methods
        if wanted is None or (does_nothing and wanted is not UNDECLARED):
            return True
        caller = caller_of(request)
        if caller is None:
            raise ProblemError(problems.UNAUTHORIZED)
        if not isinstance(wanted, Scope) or wanted not in caller.scopes:
            raise ProblemError(problems.MISSING_SCOPE)
        if caller.customer_id is not None and not getattr(view, "for_bound_keys", False):
            raise ProblemError(problems.OTHER_CUSTOMER)
        return True
