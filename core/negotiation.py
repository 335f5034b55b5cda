"""Content negotiation where a resource has one representation."""

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class OneRepresentation(BaseContentNegotiation):
    """The one there is, whatever Accept says (RFC 9110, section 12.4.1, leaves that to the server)."""

    def select_parser(self, request: Request, parsers: object) -> None:
        """None: a body is refused unread."""

    def select_renderer(  # type: ignore[override]  # the stubs leave the pair untyped
        self, request: Request, renderers: list[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The first renderer."""
        return renderers[0], str(renderers[0].media_type)
