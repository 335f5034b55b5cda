"""What a request for a number is answered with: bytes and headers that both ways in send as they are."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from core import metrics, problems
from core.problems import Detail, Problem, ProblemError
from issuance.domain.errors import (
    IssuanceError,
    KeyReusedError,
    OverloadedError,
    RefusedError,
    RestoredDatabaseError,
    StoppingError,
    UnavailableError,
)
from ledger.domain import entry, merkle, weight
from ledger.domain.entry import Event

type Headers = tuple[tuple[bytes, bytes], ...]


class Head:
    """The headers of one kind of answer, but for X-Request-ID and those that every answer has.

    There are few, compared by identity, so that a server can keep their rendered form by them.
    """

    def __init__(self, content_type: bytes, *more: tuple[bytes, bytes]) -> None:
        # RFC 9111: an issuance is an effect, so nothing may keep its answer. Crawlers stay away from what has one.
        uncached = ((b"cache-control", b"no-store"), (b"x-robots-tag", b"noindex, nofollow"))
        self.headers: Headers = ((b"content-type", content_type), *uncached, *more)


_ISSUED = Head(b"application/json")
_REPLAYED = Head(b"application/json", (b"idempotency-replayed", b"true"))


@lru_cache
def _problem_head(kind: Problem) -> Head:
    more = ((name.lower().encode(), value.encode()) for name, value in kind.headers.items())
    return Head(problems.CONTENT_TYPE.encode(), *more)


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

for _, each in _PROBLEMS:
    metrics.REFUSED.labels(each.slug)  # from 0 on, or Prometheus would not see the first one as an increase


class Answer(NamedTuple):
    """An HTTP answer; ``more`` are headers beside those of its kind."""

    status: int
    head: Head
    request_id: bytes
    body: bytes
    more: Headers = ()

    @property
    def headers(self) -> Headers:
        """All of its own, X-Request-ID too."""
        return (*self.head.headers, *self.more, (b"x-request-id", self.request_id))


class Links(msgspec.Struct, frozen=True):
    """Paths, never built from Host."""

    self: str
    proof: str


class Issued(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is said of one number; ``entry``, the leaf's exact bytes, is for the customer's own key alone."""

    tracking_number: str
    created_at: str
    origin_country_id: str
    destination_country_id: str
    weight_band: str
    request_id: str
    leaf_hash: str
    links: Links
    entry: str = ""


_encode = msgspec.json.Encoder().encode


def issued(event: Event, request_id: bytes, *, replayed: bool, with_entry: bool = False, more: Headers = ()) -> Answer:
    """200, for an event that is durable."""
    return Answer(200, _REPLAYED if replayed else _ISSUED, request_id, body(event, with_entry=with_entry), more)


def issued_together(bodies: Sequence[bytes], request_id: bytes, *, replayed: bool, more: Headers = ()) -> Answer:
    """201, for the events of a call, all of them durable; ``bodies`` are theirs, in the order of the call."""
    return Answer(201, _REPLAYED if replayed else _ISSUED, request_id, b"[" + b",".join(bodies) + b"]", more)


def body(event: Event, *, with_entry: bool) -> bytes:
    """What is said of an event; ``leaf_hash`` commits the service to it before it is in the log."""
    path = f"/v1/tracking-numbers/{event.number}"
    leaf = entry.encode(event)
    return _encode(
        Issued(
            event.number,
            entry.timestamp(event.requested_at),
            event.origin,
            event.destination,
            weight.LABELS[event.weight_band],
            str(event.request_id),
            merkle.leaf_hash(leaf).hex(),
            Links(path, f"{path}/proof"),
            leaf.decode() if with_entry else "",
        )
    )


def problem(
    kind: Problem, instance: str, request_id: bytes, errors: tuple[Detail, ...] = (), more: Headers = ()
) -> Answer:
    """Any problem document."""
    metrics.REFUSED.labels(kind.slug).inc()
    document = problems.encode(kind, instance=instance, request_id=request_id.decode(), errors=errors)
    return Answer(kind.status, _problem_head(kind), request_id, document, more)


def raised(error: ProblemError, instance: str, request_id: bytes, more: Headers = ()) -> Answer:
    """The problem document that an error is."""
    own = ((name.lower().encode(), value.encode()) for name, value in error.headers.items())
    return problem(error.problem, instance, request_id, tuple(error.errors), (*more, *own))


def refused(error: IssuanceError, instance: str, request_id: bytes, more: Headers = ()) -> Answer:
    """The problem that an issuance error is; its message is the operator's, and stays in the log."""
    kind = next(kind for error_type, kind in _PROBLEMS if isinstance(error, error_type))
    return problem(kind, instance, request_id, more=more)
