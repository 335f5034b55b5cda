"""How gunicorn serves: what the operator may choose comes from core.env, what is fixed says why."""

import gc
import math
import os
import resource
import signal
from typing import Protocol

from core import logs, multiprocess, production
from core.embedded import child, secrets
from core.env import SettingsError, load

try:
    _env = secrets.complete(load())
    production.check(_env)
except SettingsError as error:
    raise SystemExit(str(error)) from None

# A connection is an open file. Many a shell allows 1,024, which slow clients would use up; what may be had is taken.
_, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))

bind = f"[{_env.host}]:{_env.port}" if ":" in _env.host else f"{_env.host}:{_env.port}"
workers = _env.web_concurrency or max(2, len(os.sched_getaffinity(0)))  # two, so that one can be replaced under load
worker_class = "core.worker.Worker"
# The code is read once and its memory shared; what must not be forked, a writer's session and its lease, each worker
# opens for itself when it starts to serve (core.asgi).
preload_app = True
timeout = 60  # a worker whose loop stands still this long is replaced
# The time that a stopping worker has: to serve on until proxies know, and then to commit and answer what it took.
graceful_timeout = math.ceil(_env.draining) + 30
keepalive = 75  # longer than the idle limit of the proxies in front, or they would reuse a connection that is closing
accesslog = None  # one line per request costs more than the issuance; query strings would hold customers
loglevel = _env.log_level.lower()
logconfig_dict = logs.config(_env.log_lines, _env.log_level)  # one form for all lines, from the first one on
control_socket_disable = True  # on by default since gunicorn 25.1; nothing here uses it


multiprocess.begin()


class Master(Protocol):
    """As much of gunicorn's arbiter as is used here; gunicorn has no types."""

    pid: int


def when_ready(_server: Master) -> None:
    """Keep what was imported out of every collection: a worker's would copy the pages that it shares."""
    gc.collect()
    gc.freeze()


def post_fork(server: Master, _worker: object) -> None:
    """A worker whose master was killed would keep the port: it drains and goes."""
    child.die_with_parent(server.pid, signal.SIGTERM)


class Worker(Protocol):
    """As much of a worker as is used here."""

    pid: int


def child_exit(_server: Master, worker: Worker) -> None:
    """Its part of the metrics stays, but for what it said of the present."""
    multiprocess.forget(worker.pid)


def on_exit(_server: Master) -> None:
    """Nobody asks for the metrics any more."""
    multiprocess.end()
