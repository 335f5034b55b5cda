"""What a request for a number is answered with: bytes and headers that both ways in send as they are."""

from typing import NamedTuple

import msgspec

from core import problems
from core.problems import Detail, Problem
from issuance.domain import weight
from issuance.domain.errors import (
    IssuanceError,
    KeyReusedError,
    OverloadedError,
    RefusedError,
    RestoredDatabaseError,
    StoppingError,
    UnavailableError,
)
from ledger.domain import entry
from ledger.domain.entry import Event

_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", problems.CONTENT_TYPE.encode())
# RFC 9111: an issuance is an effect. Crawlers stay away from what has one.
_UNCACHED = ((b"cache-control", b"no-store"), (b"x-robots-tag", b"noindex, nofollow"))
_RETRY_AFTER = (b"retry-after", b"1")
_REPLAYED = (b"idempotency-replayed", b"true")

# The most specific first.
_PROBLEMS: tuple[tuple[type[IssuanceError], Problem], ...] = (
    (RestoredDatabaseError, problems.RESTORED_DATABASE),
    (RefusedError, problems.ISSUING_REFUSED),
    (OverloadedError, problems.OVERLOADED),
    (StoppingError, problems.SHUTTING_DOWN),
    (UnavailableError, problems.DATABASE_UNAVAILABLE),
    (KeyReusedError, problems.IDEMPOTENCY_KEY_REUSED),
    (IssuanceError, problems.INTERNAL),
)


class Answer(NamedTuple):
    """An HTTP answer without the headers that every answer has."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Links(msgspec.Struct, frozen=True):
    """Paths, never built from Host."""

    self: str
    proof: str


class Issued(msgspec.Struct, frozen=True):
    """The body of a 200."""

    tracking_number: str
    created_at: str
    origin_country_id: str
    destination_country_id: str
    weight_band: str
    request_id: str
    leaf_hash: str
    links: Links


_encoder = msgspec.json.Encoder()


def issued(event: Event, request_id: bytes, *, replayed: bool) -> Answer:
    """200, for an event that is durable; ``leaf_hash`` commits the service to it before it is in the log."""
    path = f"/v1/tracking-numbers/{event.number}"
    body = Issued(
        event.number,
        entry.timestamp(event.requested_at),
        event.origin,
        event.destination,
        weight.LABELS[event.weight_band],
        str(event.request_id),
        entry.leaf_hash(entry.encode(event)).hex(),
        Links(path, f"{path}/proof"),
    )
    headers = (_JSON, *_UNCACHED, (b"x-request-id", request_id))
    return Answer(200, (*headers, _REPLAYED) if replayed else headers, _encoder.encode(body))


def problem(kind: Problem, instance: str, request_id: bytes, errors: tuple[Detail, ...] = ()) -> Answer:
    """Any problem document."""
    body = problems.encode(kind, instance=instance, request_id=request_id.decode(), errors=errors)
    headers = (_PROBLEM, *_UNCACHED, (b"x-request-id", request_id))
    return Answer(kind.status, (*headers, _RETRY_AFTER) if kind.status == problems.OVERLOADED.status else headers, body)


def refused(error: IssuanceError, instance: str, request_id: bytes) -> Answer:
    """The problem that an issuance error is; its message is the operator's, and stays in the log."""
    kind = next(kind for error_type, kind in _PROBLEMS if isinstance(error, error_type))
    return problem(kind, instance, request_id)
