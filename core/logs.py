"""What may stand in a log: paths, without the customers in them, and never queries, which hold customers."""

import logging
import re
from typing import Any, Final
from urllib.parse import unquote

_OF_REQUESTS: Final = "django."
"""How the loggers are called that log paths of requests, decoded and escaped."""
_RAW: Final = "django.server"
"""The one of them that logs request lines as they came, percent-encoded."""

_QUERY = re.compile(r"\?\S*")
_END = r"(?= HTTP/\d|$)"
_QUERY_OF_LINE = re.compile(rf"\?.*?{_END}", re.DOTALL)
_CUSTOMER = re.compile(rf"(/customers/)(?!$| HTTP/\d).*?(?:(/stats){_END}|{_END})", re.DOTALL | re.IGNORECASE)
_ID = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
"""A UUID in a path is a customer's that was put into the wrong one, or a part of a key."""


class PathsOnly(logging.Filter):
    """Cuts queries out of what is logged of requests, and customers out of their paths."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record in place; every record passes."""
        if isinstance(record.args, tuple):
            record.args = tuple(_cut(arg, record.name) if isinstance(arg, str) else arg for arg in record.args)
        return True


def _cut(text: str, logger: str) -> str:
    if not logger.startswith(_OF_REQUESTS):
        return _QUERY.sub("", text)
    if logger == _RAW:
        text = unquote(text).encode("unicode_escape").decode()
    return _ID.sub("*", _CUSTOMER.sub(r"\1*\2", _QUERY_OF_LINE.sub("", text)))


def without_customers(trace: str) -> str:
    """The same of a traceback, line by line: the message of an error may quote what was asked for."""
    return "\n".join(_ID.sub("*", _CUSTOMER.sub(r"\1*\2", _QUERY.sub("", line))) for line in trace.split("\n"))


def config(log_format: str, level: str) -> dict[str, Any]:
    """How everything logs, for ``logging.config.dictConfig``: Django, gunicorn and uvicorn, Celery, commands.

    Args:
        log_format: ``json`` or ``text``.
        level: DEBUG, INFO, WARNING or ERROR.
    """
    stderr = {"handlers": ["stderr"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"core.log_lines.{log_format}_lines"}},
        "filters": {"paths only": {"()": "core.logs.PathsOnly"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["paths only"]},
            "nowhere": {"class": "logging.NullHandler"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django gives runserver's logger a handler of its own, which would write whole request lines.
            "django.server": stderr,
            # Anybody can send a wrong Host; the answer says so, and a traceback each time would fill the log.
            "django.security.DisallowedHost": {"handlers": ["nowhere"], "propagate": False},
            # It reports each tick of the schedule three times; the tasks say themselves what is worth saying.
            "celery": {"level": "WARNING" if level == "INFO" else level},
            # gunicorn would write lines of another form; uvicorn's worker takes the handlers of this logger.
            "gunicorn.error": stderr | {"level": level},
        },
    }
