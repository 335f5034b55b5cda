"""What the writers need of a session: issuance.writer_session.WriterSession, or a fake in unit tests."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from issuance.claims import Won
from issuance.writer_session import Written
from ledger.domain.entry import Event
from ledger.domain.tag import Claim

if TYPE_CHECKING:
    from asyncio import Future


class AnyGate(Protocol):
    """What both need; WriterSession says what each does and raises."""

    writer: int
    lost: "Future[None]"

    def close(self) -> None:
        """See WriterSession."""

    async def wait_until_gone(self, writer: int) -> None:
        """See WriterSession."""

    async def lease(self, count: int) -> range:
        """See WriterSession."""

    async def present(self, numbers: Sequence[str]) -> set[str]:
        """See WriterSession."""

    async def winners(self, tags: Sequence[bytes]) -> dict[bytes, Won]:
        """See WriterSession."""


class Gate(AnyGate, Protocol):
    """What single requests are written through."""

    async def append(self, events: Sequence[Event], claims: Sequence[Sequence[Claim]]) -> Written:
        """See WriterSession."""


class CallGate(AnyGate, Protocol):
    """What bulk calls are written through."""

    async def append_whole(self, made: Sequence[bytes], number: str, claims: Sequence[Claim]) -> bool:
        """See WriterSession."""

    async def between(self, first: int, last: int) -> list[Event]:
        """See WriterSession."""
