"""``python -m tests.support.programs.counting_worker URL MOST STEPS``: a worker of the reports that does nothing else.

After so many steps it only waits to be killed.
"""

import signal
import sys
import time

import psycopg

from reports import parts, rollup
from reports.session import Turn, session, turn


def main(url: str, most: int, steps: int) -> None:
    """Count one part and one step, in turn."""
    with session(url) as connection:
        while steps:
            try:
                for part in parts.missing(connection, most)[-2:]:
                    parts.count(connection, "UTC", *part)
                with turn(connection, Turn.COUNTING) as mine:
                    if mine:
                        rollup.step(connection, "UTC", most)
                        steps -= 1
            except psycopg.errors.SerializationFailure:
                time.sleep(0.01)  # as a task is tried again
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
