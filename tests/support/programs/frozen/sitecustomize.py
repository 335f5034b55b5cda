"""On PYTHONPATH it stops the clock that the issuer reads, so that events can be made of any day."""

import os
import time

if "FROZEN_AT_NS" in os.environ:
    MOMENT = int(os.environ["FROZEN_AT_NS"])
    time.time_ns = lambda: MOMENT
