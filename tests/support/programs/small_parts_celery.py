"""The workers' app with parts of 2,000 leaves, so that a ledger that a test can fill is far behind."""

from functools import partial

from reports import parts, rollup
from tests.support.programs.fast_celery import app

MOST = 2000

rollup.step = partial(rollup.step, most=MOST)
parts.missing = partial(parts.missing, most=MOST)

__all__ = ["app"]
