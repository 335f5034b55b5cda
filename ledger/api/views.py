"""The log's HTTP reads, each one representation: c2sp.org/tlog-tiles below the root, and the proof of a number."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from core import problems
from core.keys.domain import Scope
from core.negotiation import OneRepresentation
from core.problems import ProblemError
from ledger import across, reading, witnessed
from ledger.api import access, contract, reads
from ledger.domain import tiles
from ledger.domain.tiles import WIDTH, TilePathError
from ledger.log import Connection
from ledger.reading import Published
from ledger.shards import coordinated

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
FOR_EVER = {"max_age": 31_536_000, "immutable": True}
_FOR_A_MOMENT = {"max_age": 1}


class LogView(APIView):
    """What all of them have in common."""

    http_method_names = ["get", "head", "options"]  # noqa: RUF012  # as Django declares it
    content_negotiation_class = OneRepresentation

    @extend_schema(exclude=True)
    def options(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:  # type: ignore[override]  # no body
        """What may be done here."""
        return HttpResponse(status=204, headers={"Allow": "GET, HEAD, OPTIONS"})

    def answer(
        self,
        request: Request,
        read: Callable[[Connection], bytes],
        content_type: str,
        *,
        cache: dict[str, Any],
        newest: bool = False,
    ) -> HttpResponse:
        """Read, and word the answer: 200 or 304; raises ProblemError as ``reads.asked`` does."""
        django: HttpRequest = request._request  # noqa: SLF001  # DRF wraps Django's request, and offers no other way
        content = reads.asked(read, newest=newest)
        etag = f'"{sha256(content).hexdigest()[:32]}"'
        response = HttpResponse(content, content_type=content_type, headers={"ETag": etag})
        patch_cache_control(response, **cache)
        found = get_conditional_response(django, etag=etag, response=response)
        assert isinstance(found, HttpResponse)  # noqa: S101  # given a response it returns one
        return found


class CheckpointView(LogView):
    """The newest signed tree head."""

    scope_when_closed = Scope.AUDIT

    @property
    def scope(self) -> Scope | None:
        """Open, or for auditors."""
        return access.scope(level=0)

    @extend_schema(**contract.CHECKPOINT)
    def get(self, request: Request) -> HttpResponse:
        """Give the checkpoint."""
        _one_log()
        return self.answer(
            request,
            self.read,
            TEXT,
            cache=_visibility(0) | _FOR_A_MOMENT,
            newest=True,  # whoever follows the log must not see it shrink
        )

    def read(self, connection: Connection) -> bytes:
        """The note, with the cosignatures that there are of it already."""
        tree, text = reading.checkpoint(connection, reads.verifier(settings.ENV))
        policy = reads.policy(settings.ENV)
        return (text if policy is None else text + witnessed.lines(connection, policy, tree)).encode()


class WitnessedView(CheckpointView):
    """The newest signed tree head that enough witnesses have cosigned."""

    @extend_schema(**contract.WITNESSED)
    def get(self, request: Request) -> HttpResponse:
        """Give the checkpoint."""
        return super().get(request)

    def read(self, connection: Connection) -> bytes:
        """The note; BeyondTreeError where there is none."""
        found = reads.witnessed(connection, settings.ENV)
        if found is None:
            raise reading.BeyondTreeError
        return found.note.encode()


class TileView(LogView):
    """A tile of hashes, or a bundle of entries."""

    scope_when_closed = Scope.AUDIT

    @property
    def scope(self) -> Scope | None:
        """What the kind of tile needs that the path names; a path that names none is open to be told so."""
        try:
            return access.scope(level=tiles.parse(self.kwargs["path"]).level)
        except TilePathError:
            return None

    @extend_schema(**contract.TILE)
    @method_decorator(gzip_page)
    def get(self, request: Request, path: str) -> HttpResponse:
        """Give a tile or bundle."""
        _one_log()
        try:
            wanted = tiles.parse(path)
        except TilePathError:
            raise ProblemError(problems.MALFORMED_TILE_PATH) from None
        cache = _visibility(wanted.level) | (FOR_EVER if wanted.width == WIDTH else _FOR_A_MOMENT)
        return self.answer(request, lambda found: reading.tile(found, wanted), BYTES, cache=cache)


class ProofView(LogView):
    """The offline proof of a number; whoever has the number may have it."""

    scope: Scope | None = None
    authentication_classes = ()

    @extend_schema(**contract.PROOF)
    def get(self, request: Request, number: str) -> HttpResponse:
        """Give the proof."""
        wanted = reads.number(number)

        def read(connection: Connection) -> bytes:
            if coordinated():
                return across.inclusion(connection, wanted).encode()
            key, found = reads.verifier(settings.ENV), reads.witnessed(connection, settings.ENV)
            earlier = None if found is None else Published(found.size, found.root, found.signature, found.lines)
            return reading.inclusion(connection, key, wanted, reads.KNOWN, earlier).encode()

        return self.answer(request, read, TEXT, cache={"no_store": True})


def _one_log() -> None:
    """Raise ProblemError ONE_LOG_EACH where there are several."""
    if coordinated():
        raise ProblemError(problems.ONE_LOG_EACH)


def _visibility(level: int) -> dict[str, Any]:
    """What an auditor alone may read, no shared cache may keep."""
    return {"public": True} if access.scope(level=level) is None else {"private": True}
