"""The web process: issuance in a lane of its own, everything else Django in a thread pool, one port for both."""

import asyncio
import contextlib
import gc
from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

from a2wsgi import WSGIMiddleware
from django.conf import settings

from core.wsgi import application as django
from issuance import runtime
from issuance.endpoint import IssuanceLane, Receive, Scope, Send
from issuance.issuer import Issuer

if TYPE_CHECKING:
    from a2wsgi.wsgi_typing import WSGIApp

    from issuance.endpoint import Application

DJANGO_THREADS = 8

# Both are what their protocols say; a2wsgi and django-stubs spell those protocols differently.
_threads = WSGIMiddleware(cast("WSGIApp", django), workers=DJANGO_THREADS)


class Service:
    """The ASGI application: one issuer for as long as the process serves."""

    def __init__(self) -> None:
        self._issuer: Issuer | None = None
        django = cast("Application", _threads)
        self._http = django if settings.ENV.coordinator else IssuanceLane(django, self._current)

    def _current(self) -> Issuer:
        if self._issuer is None:
            raise RuntimeError("The server does not speak ASGI's lifespan protocol, which starts the writer.")
        return self._issuer

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one ASGI scope."""
        return self._http(scope, receive, send) if scope["type"] == "http" else self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            try:
                if not settings.ENV.coordinator:  # which has no ledger of its own to issue into
                    self._issuer = await stack.enter_async_context(runtime.issuing())
            except Exception as error:  # noqa: BLE001  # whatever keeps the issuer from starting is the server's to report
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            _spare_the_collector()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        if settings.ENV.otel_exporter_otlp_endpoint is not None:
            from core import tracing  # noqa: PLC0415  # imported only where something is traced

            await asyncio.to_thread(tracing.hand_on)  # the signal that stops this process leaves no time for it later
        await send({"type": "lifespan.shutdown.complete"})


def _spare_the_collector() -> None:
    """What start-up made stays; what a request makes has no cycles, and is gone before a collection could help.

    Five to ten per cent of the CPU at 512 connections, where each collection would walk all that wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


application = Service()
