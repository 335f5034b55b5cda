"""The service's commands, as an operator runs them."""

import os
import subprocess
import sys

from tests.logs import LOGS
from tests.plugin import ROOT, Database


def command(database: Database, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """One of them, run to its end; what it wrote is looked at as any log is."""
    environment = {**os.environ, **database.settings, **settings}
    line = [sys.executable, str(ROOT / "manage.py"), *arguments]
    done = subprocess.run(line, check=False, env=environment, capture_output=True, text=True)
    LOGS.take("commands", done.stderr)
    return done
