"""``python -m tests.support.counting URL MOST``: a worker of the reports that does nothing else, until it is killed."""

import sys
import time

import psycopg

from reports import parts, rollup
from reports.session import Turn, session, turn


def main(url: str, most: int) -> None:
    """Count one part and one step, in turn, for ever."""
    with session(url) as connection:
        while True:
            try:
                for part in parts.missing(connection, most)[-2:]:
                    parts.count(connection, "UTC", *part)
                with turn(connection, Turn.COUNTING) as mine:
                    if mine:
                        rollup.step(connection, "UTC", most)
            except psycopg.errors.SerializationFailure:
                time.sleep(0.01)  # as a task is tried again


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
