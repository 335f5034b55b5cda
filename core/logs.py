"""What may stand in a log: paths, without the customers in them, and never queries, which hold customers."""

import logging
import re
from typing import Final
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
