"""The folder in which the web processes of one gunicorn count together, as Prometheus' library wants it.

The library looks for the folder's name in the environment when it is first imported, so gunicorn's master makes the
folder before any worker is there. Other processes have none, and count for themselves.
"""

import os
import shutil
import tempfile
from pathlib import Path

_NAME = "PROMETHEUS_MULTIPROC_DIR"

_folder: Path | None = None


def begin() -> None:
    """Make the folder, empty, once; workers that start later find it."""
    global _folder  # noqa: PLW0603  # gunicorn reads its configuration again on SIGHUP
    if _folder is None:
        _folder = Path(tempfile.mkdtemp(prefix="tracking-metrics-"))
    os.environ[_NAME] = str(_folder)


def together() -> bool:
    """Whether this process counts together with others."""
    return _NAME in os.environ


def forget(pid: int) -> None:
    """Leave out what a worker that has ended said of the present; what it counted stays."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415  # not before `begin`

    if _folder is not None:
        mark_process_dead(pid, str(_folder))  # type: ignore[no-untyped-call]  # it has no types


def end() -> None:
    """Remove the folder."""
    if _folder is not None:
        shutil.rmtree(_folder, ignore_errors=True)
