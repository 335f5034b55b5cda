"""A bulk call, from its body to its answer: orders that are issued together or not at all."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from msgspec import Raw
from uuid_utils import UUID

from core import problems
from core.keys.domain import Caller
from core.problems import Detail, ProblemError
from core.throttle.limits import Limits
from issuance import answers
from issuance.answers import Answer, Headers
from issuance.bulk_writer import BulkWriter
from issuance.call import Call
from issuance.domain import bulk
from issuance.domain.bulk import MalformedBodyError
from issuance.domain.errors import IssuanceError
from issuance.domain.order import Flaw, InvalidOrderError, Order
from issuance.slices import sliced
from ledger.domain.tag import Claim, KeyRing, framed

PATH = "/v1/tracking-numbers"

_REMEMBERED_CUSTOMERS = 8192
_MOST_FLAWS = 100


class Asked(NamedTuple):
    """A call as it arrived.

    Attributes:
        body: JSON, still to be read.
        caller: whoever may issue, for all customers or for one.
        request_id: of the call and all its events.
        requested_at: when the service took it, microseconds of the Unix epoch.
        idempotency_key: well-formed, or None.
    """

    body: bytes
    caller: Caller
    request_id: UUID
    requested_at: int
    idempotency_key: bytes | None


class BulkIssuer:
    """Reads calls, hands them to their writer, and words the answers; all in slices of the event loop's time."""

    def __init__(self, writer: BulkWriter, keys: KeyRing, limits: Limits | None = None) -> None:
        """Make one of what makes events durable, the keys of the customers' pseudonyms, and callers' limits."""
        self._writer = writer
        self._keys = keys
        self._limits = limits
        self._customer = lru_cache(_REMEMBERED_CUSTOMERS)(keys.tag)

    async def issue(self, asked: Asked) -> Answer:
        """Answer one call: 201 with all its numbers, or the problem that kept every one of them from being issued."""
        id_text = str(asked.request_id).encode()
        more: Headers = ()
        try:
            elements = _elements(asked.body)
            # A call that holds bad orders costs what it would have cost, since they are all read.
            if self._limits is not None and (taken := await self._limits.take(asked.caller.id, "", len(elements))):
                more = taken.headers
                if not taken.granted:
                    kind = problems.QUOTA_EXCEEDED if taken.seconds else problems.CALL_EXCEEDS_QUOTA
                    return answers.problem(kind, PATH, id_text, more=more)
            orders = await _read(elements)
            if asked.caller.customer_id is not None:
                _check_customer(orders, asked.caller.customer_id)
            call = Call(
                orders=orders,
                customers=await sliced(lambda order: self._customer(order.customer_id), orders),
                requested_at=asked.requested_at,
                request_id=asked.request_id,
                principal=asked.caller.id,
                claims=await self._claims(asked, orders),
            )
            events, replayed = await self._writer.issue(call)
        except ProblemError as error:
            return answers.raised(error, PATH, id_text, more)
        except IssuanceError as error:
            return answers.refused(error, PATH, id_text, more)
        own = asked.caller.customer_id is not None
        bodies = await sliced(lambda event: answers.body(event, with_entry=own), events)
        return answers.issued_together(bodies, id_text, replayed=replayed, more=more)

    async def _claims(self, asked: Asked, orders: Sequence[Order]) -> Sequence[Claim]:
        if asked.idempotency_key is None:
            return ()
        parts = await sliced(lambda order: framed(order.canonical()), orders)
        return self._keys.claims_of_call(asked.caller.id, asked.idempotency_key, parts)


def _elements(body: bytes) -> Sequence[Raw]:
    try:
        return bulk.elements(body)
    except MalformedBodyError as error:
        raise ProblemError(problems.MALFORMED_BODY, errors=(Detail("", error.code, error.detail),)) from None


async def _read(elements: Sequence[Raw]) -> list[Order]:
    try:
        return await sliced(bulk.read, elements)
    except InvalidOrderError:
        raise ProblemError(problems.INVALID_PARAMETERS, errors=await _details(elements)) from None


async def _details(elements: Sequence[Raw]) -> list[Detail]:
    """What is wrong, by the index of the order; so many flaws at most, and then how many more there are."""
    flaws = [
        (f"[{index}].{flaw.parameter}" if flaw.parameter else f"[{index}]", flaw)
        for index, found in enumerate(await sliced(_flaws, elements))
        for flaw in found
    ]
    details = [Detail(place, flaw.code, flaw.detail) for place, flaw in flaws[:_MOST_FLAWS]]
    if more := len(flaws) - len(details):
        details.append(Detail("", "more", f"There are {more:,} more flaws."))
    return details


def _flaws(element: Raw) -> list[Flaw]:
    try:
        bulk.read(element)
    except InvalidOrderError as error:
        return error.flaws
    return []


def _check_customer(orders: Sequence[Order], customer_id: bytes) -> None:
    if any(order.customer_id != customer_id for order in orders):
        raise ProblemError(problems.OTHER_CUSTOMER)
