"""The id of a request: the caller's X-Request-ID if that is a UUID, else one of ours, the same wherever it is asked."""

import re

from django.http import HttpRequest
from uuid_utils import UUID, uuid7

_HEADER = "HTTP_X_REQUEST_ID"
_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def request_id(given: bytes | None) -> tuple[UUID, bytes]:
    """The request's id, and its text: the caller's if that is a UUID, else a new UUIDv7 (RFC 9562)."""
    identity = UUID(given.decode()) if given is not None and _UUID.fullmatch(given) else uuid7()
    return identity, str(identity).encode()


def id_of(request: HttpRequest) -> str:
    """The id of one of Django's requests; what its header holds afterwards."""
    given = request.META.get(_HEADER)
    _, text = request_id(None if given is None else given.encode("latin-1"))
    request.META[_HEADER] = text.decode()
    return text.decode()
