"""``/metrics`` for Prometheus: what the processes of this gunicorn counted, and what the database says just now."""

import logging
from collections.abc import Callable, Iterator
from hmac import compare_digest
from typing import Final

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from rest_framework.request import Request
from rest_framework.views import APIView

from core import metrics, multiprocess, query
from core.bounded import DATABASE
from core.keys import domain
from core.keys.domain import Caller, Scope
from core.keys.drf import BearerKey
from core.metrics import Reading
from core.negotiation import OneRepresentation

type Read = Callable[[], list[tuple[Reading, float]]]

_SCRAPER: Final = Caller(0, frozenset((Scope.OPERATE,)), None)

logger = logging.getLogger(__name__)


class ScrapersToken(BearerKey):
    """METRICS_TOKEN, which needs no database, or an API key."""

    def authenticate(self, request: Request) -> tuple[None, Caller] | None:
        """The scraper, or whose key it is."""
        token: str | None = settings.ENV.metrics_token
        given = domain.bearer(request.META.get("HTTP_AUTHORIZATION", ""))
        # The hashes have one length, and comparing them takes the same time wherever they differ.
        if token is not None and given is not None and compare_digest(domain.digest(given), domain.digest(token)):
            return None, _SCRAPER
        return super().authenticate(request)


class MetricsView(APIView):
    """``GET`` answers in Prometheus' text format 0.0.4, whatever Accept says."""

    scope: Scope | None = Scope.OPERATE
    authentication_classes = (ScrapersToken,)
    content_negotiation_class = OneRepresentation
    http_method_names = ["get", "head"]  # noqa: RUF012  # as Django declares it
    readings: Read | None = None
    """Asks the database; given by core.urls, since what is asked belongs to the apps."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """All metrics."""
        query.nothing(request)
        registry = CollectorRegistry()
        registry.register(_counted())
        if self.readings is not None:
            registry.register(Readings(self.readings))
        return HttpResponse(
            generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"}
        )


def _counted() -> Collector:
    return MultiProcessCollector(None) if multiprocess.together() else metrics.PROCESS  # type: ignore[no-untyped-call]  # none


class Readings(Collector):
    """The readings as Prometheus' library takes them; of a database that is away it says that."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Ask, and wait two seconds at most."""
        try:
            found = DATABASE.ask(self._read)
        except Exception as error:  # noqa: BLE001  # whatever keeps the readings away must not take the rest along
            logger.warning("A scrape goes without what the database says: %s", type(error).__name__)
            found = []
        yield _gauge(metrics.UP, 1.0 if found else 0.0)
        for reading, value in found:
            yield _gauge(reading, value)


def _gauge(reading: Reading, value: float) -> Metric:
    return GaugeMetricFamily(reading.name, reading.documentation, value=value)
