"""Issuer and writer that leave traces; where nothing is traced, the plain ones know nothing of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core import tracing
from issuance.answers import Answer
from issuance.gate import Gate
from issuance.issuer import PATH, Issuer
from issuance.request import Request
from issuance.writer import Writer

if TYPE_CHECKING:
    import asyncio

    from ledger.domain.entry import Event


class TracedIssuer(Issuer):
    """A span for each request of the lane; those that come by way of Django have one already."""

    async def issue(self, query: bytes, headers: Mapping[bytes, bytes], peer: str = "") -> Answer:
        """See Issuer."""
        if tracing.current().is_valid:
            return await super().issue(query, headers, peer)
        with tracing.serving("GET", headers.get(b"traceparent", b"").decode("latin-1")) as span:
            answer = await super().issue(query, headers, peer)
            tracing.served(span, "GET", PATH, answer.status, answer.request_id.decode())
            return answer


class TracedWriter(Writer):
    """A span for each batch, linked to the requests that it answers."""

    def submit(self, request: Request) -> "asyncio.Future[Event]":
        """See Writer."""
        request.span = tracing.current()
        return super().submit(request)

    async def _write(self, session: Gate, batch: list[Request]) -> None:
        with tracing.committing([request.span for request in batch]):
            await super()._write(session, batch)
