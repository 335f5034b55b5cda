"""``issue(query, headers) -> answer``: the whole of an issuance but its transport, for both ways in."""

import logging
import re
import time
from collections.abc import Mapping
from functools import lru_cache

from uuid_utils import UUID, uuid7

from core import problems
from core.problems import Detail
from issuance import answers
from issuance.answers import Answer
from issuance.domain import order as orders
from issuance.domain.errors import IssuanceError
from issuance.domain.order import InvalidOrderError, Order
from issuance.request import Request
from issuance.writer import Writer
from ledger.domain.tag import Claim, KeyRing

PATH = "/next-tracking-number"

_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# Visible ASCII but the comma: by it a WSGI server joins a header that is given twice.
_IDEMPOTENCY_KEY = re.compile(rb"[!-+\--~]{1,255}")
_REMEMBERED_CUSTOMERS = 8192

HEADERS = frozenset(
    (
        *(b"host", b"x-request-id", b"x-forwarded-proto", b"idempotency-key", b"content-length", b"transfer-encoding"),
        *(b"sec-purpose", b"purpose", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"),
    )
)
"""The headers that matter here; where one is given twice, its values are joined by a comma, as under WSGI."""

logger = logging.getLogger(__name__)


class Issuer:
    """Checks requests, hands them to the writer, and words the answers."""

    def __init__(self, writer: Writer, keys: KeyRing) -> None:
        self._writer = writer
        self._keys = keys
        self._customer = lru_cache(_REMEMBERED_CUSTOMERS)(keys.tag)

    async def issue(self, query: bytes, headers: Mapping[bytes, bytes]) -> Answer:
        """Answer one request for a number.

        Args:
            query: the raw query string.
            headers: lower-case names to values; those in HEADERS are looked at.
        """
        now = time.time_ns() // 1000
        request_id, id_text = _request_id(headers.get(b"x-request-id"))
        if len(headers) > 1 and (answer := _unwanted(headers, id_text)):
            return answer
        try:
            order = orders.parse(query)
        except InvalidOrderError as error:
            errors = tuple(Detail(*flaw) for flaw in error.flaws)
            return answers.problem(problems.INVALID_PARAMETERS, PATH, id_text, errors)
        key = headers.get(b"idempotency-key")
        request = Request(
            order,
            customer=self._customer(order.customer_id),
            requested_at=now,
            request_id=request_id,
            claims=self._claims(order, key) if key is not None else (),
        )
        try:
            event = await self._writer.submit(request)
        except IssuanceError as error:
            return answers.refused(error, PATH, id_text)
        return answers.issued(event, id_text, replayed=request.replayed)

    def _claims(self, order: Order, key: bytes) -> tuple[Claim, ...]:
        return tuple(self._keys.claims(None, order.customer_id, key, order.canonical()))


def _request_id(given: bytes | None) -> tuple[UUID, bytes]:
    """The request's id, and its text: the caller's if that is a UUID, else a new UUIDv7 (RFC 9562)."""
    identity = UUID(given.decode()) if given is not None and _UUID.fullmatch(given) else uuid7()
    return identity, str(identity).encode()


def _unwanted(headers: Mapping[bytes, bytes], request_id: bytes) -> Answer | None:
    """The refusal of a request that no one meant as an order, or None."""
    if headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
        return answers.problem(problems.BODY_NOT_ALLOWED, PATH, request_id)
    purpose = headers.get(b"sec-purpose", b"") + headers.get(b"purpose", b"")
    if b"prefetch" in purpose.lower():
        return answers.problem(problems.UNINTENDED, PATH, request_id)
    if headers.get(b"sec-fetch-site") == b"cross-site" and (
        headers.get(b"sec-fetch-mode") != b"navigate" or headers.get(b"sec-fetch-dest") != b"document"
    ):
        return answers.problem(problems.UNINTENDED, PATH, request_id)
    key = headers.get(b"idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        flaw = Detail("Idempotency-Key", "format", "1 to 255 visible ASCII characters but the comma, given once.")
        return answers.problem(problems.INVALID_HEADER, PATH, request_id, (flaw,))
    return None
