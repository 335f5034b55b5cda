"""``issue(query, headers) -> answer``: the whole of an issuance but its transport, for both ways in."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache

from core import problems
from core.keys.domain import Caller, Scope
from core.problems import Detail, ProblemError
from core.request_id import request_id
from core.throttle import address
from core.throttle.limits import Limits
from issuance import answers
from issuance.answers import Answer, Headers
from issuance.domain.errors import IssuanceError
from issuance.domain.order import InvalidOrderError, Order
from issuance.domain.query import parse
from issuance.headers import flaw_of_key
from issuance.request import Request
from issuance.writer import Writer
from ledger.domain.tag import Claim, KeyRing

PATH = "/next-tracking-number"

_REMEMBERED_CUSTOMERS = 8192

HEADERS = frozenset(
    (
        *(b"host", b"x-request-id", b"x-forwarded-proto", b"idempotency-key", b"authorization"),
        *(b"traceparent",),
        *(b"content-length", b"transfer-encoding"),
        *(b"sec-purpose", b"purpose", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"),
    )
)
"""The headers that matter here; where one is given twice, its values are joined by a comma, as under WSGI."""

FORWARDED = b"x-forwarded-for"
"""This one, too, where there are proxies whose word is taken."""

type FindCaller = Callable[[bytes, str], Awaitable[Caller | None]]
"""Whose key an Authorization header holds, None if it holds none; raises ProblemError for one that is not good.

The text is the address that it came from: so many of its keys may be wrong.
"""

logger = logging.getLogger(__name__)


class Issuer:
    """Checks requests, hands them to the writer, and words the answers."""

    def __init__(
        self,
        writer: Writer,
        keys: KeyRing,
        caller: FindCaller,
        *,
        requires_key: bool,
        limits: Limits | None = None,
        trusted_proxies: int = 0,
    ) -> None:
        """Make one.

        Args:
            writer: makes events durable.
            keys: of the customers' pseudonyms.
            caller: whose key an Authorization header holds.
            requires_key: whether nothing is issued without one.
            limits: how many numbers a caller may have; None: as many as it asks for.
            trusted_proxies: how many stand in front and say whose request it is.
        """
        self._writer = writer
        self._keys = keys
        self._caller = caller
        self._requires_key = requires_key
        self._limits = limits
        self._trusted_proxies = trusted_proxies
        self._customer = lru_cache(_REMEMBERED_CUSTOMERS)(keys.tag)

    async def issue(self, query: bytes, headers: Mapping[bytes, bytes], peer: str = "") -> Answer:
        """Answer one request for a number.

        Args:
            query: the raw query string.
            headers: lower-case names to values; those in HEADERS and FORWARDED are looked at.
            peer: the address at the other end of the connection; empty where it has none.
        """
        now = time.time_ns() // 1000
        identity, id_text = request_id(headers.get(b"x-request-id"))
        if len(headers) > 1 and (answer := _unwanted(headers, id_text)):
            return answer
        more: Headers = ()
        try:
            caller = await self._called_by(headers, peer)
            principal = None if caller is None else caller.id
            # Before the order is read: what can't be an order costs a token as well, since it costs us the reading.
            if self._limits is not None and (taken := await self._limits.take(principal, self._whose(headers, peer))):
                more = taken.headers
                if not taken.granted:
                    return answers.problem(problems.QUOTA_EXCEEDED, PATH, id_text, more=more)
            order = _order(query, caller)
        except ProblemError as error:
            return answers.raised(error, PATH, id_text, more)
        key = headers.get(b"idempotency-key")
        request = Request(
            order,
            customer=self._customer(order.customer_id),
            requested_at=now,
            request_id=identity,
            principal=principal,
            claims=self._claims(principal, order, key) if key is not None else (),
        )
        try:
            event = await self._writer.submit(request)
        except IssuanceError as error:
            return answers.refused(error, PATH, id_text, more)
        own = caller is not None and caller.customer_id is not None
        return answers.issued(event, id_text, replayed=request.replayed, with_entry=own, more=more)

    def _whose(self, headers: Mapping[bytes, bytes], peer: str) -> str:
        return address.client(peer, headers.get(FORWARDED), self._trusted_proxies)

    async def _called_by(self, headers: Mapping[bytes, bytes], peer: str) -> Caller | None:
        """Whoever may issue and asks for it; None is anybody."""
        if not self._requires_key and b"authorization" not in headers:
            return None
        caller = await self._caller(headers.get(b"authorization", b""), self._whose(headers, peer))
        if caller is None and self._requires_key:
            raise ProblemError(problems.UNAUTHORIZED)
        if caller is not None and Scope.ISSUE not in caller.scopes:
            raise ProblemError(problems.MISSING_SCOPE)
        return caller

    def _claims(self, principal: int | None, order: Order, key: bytes) -> tuple[Claim, ...]:
        return tuple(self._keys.claims(principal, order.customer_id, key, order.canonical()))


def _order(query: bytes, caller: Caller | None) -> Order:
    try:
        order = parse(query)
    except InvalidOrderError as error:
        raise ProblemError(problems.INVALID_PARAMETERS, errors=tuple(Detail(*flaw) for flaw in error.flaws)) from None
    if caller is not None and caller.customer_id not in {None, order.customer_id}:
        raise ProblemError(problems.OTHER_CUSTOMER)
    return order


def _unwanted(headers: Mapping[bytes, bytes], id_text: bytes) -> Answer | None:
    """The refusal of a request that no one meant as an order, or None."""
    if headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
        return answers.problem(problems.BODY_NOT_ALLOWED, PATH, id_text)
    purpose = headers.get(b"sec-purpose", b"") + headers.get(b"purpose", b"")
    if b"prefetch" in purpose.lower():
        return answers.problem(problems.UNINTENDED, PATH, id_text)
    if headers.get(b"sec-fetch-site") == b"cross-site" and (
        headers.get(b"sec-fetch-mode") != b"navigate" or headers.get(b"sec-fetch-dest") != b"document"
    ):
        return answers.problem(problems.UNINTENDED, PATH, id_text)
    key = headers.get(b"idempotency-key")
    if key is not None and (flaw := flaw_of_key(key)):
        return answers.problem(problems.INVALID_HEADER, PATH, id_text, (flaw,))
    return None
