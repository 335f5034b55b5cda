"""How a log line looks: an object in JSON, or text for people; both say which request or task it is about."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from core.lean_imports import without
from core.logs import without_customers

with without("rich"):  # for tracebacks of its own, which nothing here writes: a seventh of a start
    from structlog.contextvars import get_contextvars
    from structlog.processors import JSONRenderer, StackInfoRenderer, format_exc_info
    from structlog.stdlib import ProcessorFormatter
    from structlog.typing import EventDict, WrappedLogger

_OF_RECORD: Final = ("request_id",)
"""What a call of a logger may give as ``extra``, where the context is not that of one request."""
_MAIN: Final = ("timestamp", "level", "logger", "event", "exception", "stack")


def json_lines() -> logging.Formatter:
    """A JSON object a line: timestamp (RFC 3339, UTC), level, logger, event, what it is about, exception."""
    return _formatter(JSONRenderer())


def text_lines() -> logging.Formatter:
    """Time, level, logger and message; then what it is about, and the traceback below."""
    return _formatter(_as_text)


def _formatter(render: Callable[[WrappedLogger, str, EventDict], str | bytes]) -> logging.Formatter:
    return ProcessorFormatter(
        processors=[
            _describe,
            StackInfoRenderer(),
            format_exc_info,
            _cut,
            ProcessorFormatter.remove_processors_meta,
            render,
        ]
    )


def _describe(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    at = datetime.fromtimestamp(record.created, UTC)
    described: EventDict = {
        "timestamp": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "event": event.pop("event"),
    }
    given = {name: getattr(record, name) for name in _OF_RECORD if hasattr(record, name)}
    described.update(sorted(get_contextvars().items()), **given)
    described.update(event)
    return described


def _cut(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for name in ("exception", "stack"):
        if name in event:
            event[name] = without_customers(event[name])
    return event


def _as_text(_: WrappedLogger, __: str, event: EventDict) -> str:
    about = "".join(f" [{name}={value}]" for name, value in event.items() if name not in _MAIN)
    line = f"{event['timestamp']} {event['level']} {event['logger']}: {event['event']}{about}"
    return "\n".join((line, *(event[name] for name in ("exception", "stack") if name in event)))
