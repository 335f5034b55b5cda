"""What may stand in a log: paths, never queries, which hold customers."""

import logging
import re

_QUERY = re.compile(r"\?\S*")


class PathsOnly(logging.Filter):
    """Cuts queries out of the request lines that runserver logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record in place; every record passes."""
        if isinstance(record.args, tuple):
            record.args = tuple(_QUERY.sub("", arg) if isinstance(arg, str) else arg for arg in record.args)
        return True
