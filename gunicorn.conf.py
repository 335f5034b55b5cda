"""How gunicorn serves: what the operator may choose comes from core.env, what is fixed says why."""

import math
import os
import signal
from typing import Protocol

from core.embedded import child, secrets
from core.env import SettingsError, load

try:
    _env = secrets.complete(load())
except SettingsError as error:
    raise SystemExit(str(error)) from None

bind = f"[{_env.host}]:{_env.port}" if ":" in _env.host else f"{_env.host}:{_env.port}"
workers = _env.web_concurrency or max(2, len(os.sched_getaffinity(0)))  # two, so that one can be replaced under load
worker_class = "core.worker.Worker"
preload_app = False  # a writer's session and its lease belong to one process and must not be forked
timeout = 60  # a worker whose loop stands still this long is replaced
# The time that a stopping worker has: to serve on until proxies know, and then to commit and answer what it took.
graceful_timeout = math.ceil(_env.draining) + 30
keepalive = 75  # longer than the idle limit of the proxies in front, or they would reuse a connection that is closing
accesslog = None  # one line per request costs more than the issuance; query strings would hold customers
loglevel = _env.log_level.lower()
control_socket_disable = True  # on by default since gunicorn 25.1; nothing here uses it


class Master(Protocol):
    """As much of gunicorn's arbiter as is used here; gunicorn has no types."""

    pid: int


def post_fork(server: Master, _worker: object) -> None:
    """A worker whose master was killed would keep the port: it drains and goes."""
    child.die_with_parent(server.pid, signal.SIGTERM)
