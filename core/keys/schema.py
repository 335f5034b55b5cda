"""How drf-spectacular reads our views: what each operation needs of a key, and nothing but what its contract says."""

from typing import Any, Final

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import is_list_serializer

from core.keys.domain import Scope
from core.keys.drf import needed

NAME: Final = "ApiKey"
"""The security scheme, as settings.py describes it."""


class ScopedSchema(AutoSchema):
    """Names the scope; ``scope_when_closed`` of a view is one that settings may ask for, and that is optional else."""

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Only what a contract calls a list is one; the base class takes whatever a view lists for an array."""
        return is_list_serializer(serializer)

    def get_operation(self, *args: Any) -> dict[str, Any] | None:
        """The operation; one that is open says so by an empty list, which the base class would leave out."""
        operation: dict[str, Any] | None = super().get_operation(*args)
        if operation is not None:
            operation.setdefault("security", [])
        return operation

    def get_auth(self) -> list[dict[str, Any]]:
        """The operation's security requirement; in OpenAPI 3.1 a scheme that is not OAuth may name roles."""
        when_closed: Scope | None = getattr(self.view, "scope_when_closed", None)
        if when_closed is not None:
            return [{}, {NAME: [str(when_closed)]}]
        scope = needed(self.view)
        return [{NAME: [str(scope)]}] if isinstance(scope, Scope) else []

    def _unwrap_list_serializer(self, serializer: Any, direction: Any) -> dict[str, Any] | None:
        """The schema of a list, with the lengths that a ListSerializer has and drf-spectacular leaves out."""
        schema: dict[str, Any] | None = super()._unwrap_list_serializer(serializer, direction)
        for name, length in (("minItems", "min_length"), ("maxItems", "max_length")):
            if schema and getattr(serializer, length, None) is not None:
                schema[name] = getattr(serializer, length)
        return schema
