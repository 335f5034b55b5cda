"""The commands of manage.py as an operator runs them, in this process: a start costs more CPU than most commands.

Where the start is what is tested (a signal, a terminal, a shell's environment), a test starts `manage.py` itself.
"""

import asyncio
import io
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch

import msgspec
from django.conf import settings
from django.core.management import ManagementUtility
from django.db import connections
from django.test import override_settings

from core.env import Env, SettingsError
from tests import plugin
from tests.logs import LOGS
from tests.plugin import ROOT, Database

type Done = subprocess.CompletedProcess[str]

UNSET = {field.encode_name: "" for field in msgspec.structs.fields(Env)}
"""An environment in which no setting is given."""
_SETTINGS = ROOT / "core/settings.py"
_OF_THE_PROCESS = {"INSTALLED_APPS", "LOGGING", "MIDDLEWARE", "DATABASES"}
"""Settings that are read once, at its start; the connections are exchanged beside them."""


def command(database: Database, *arguments: str, **changes: str) -> Done:
    """Run one to its end on a database: exit code and what it wrote, which is looked at as any log is.

    Args:
        arguments: the command's name, and what follows it.
        changes: of the settings, as core.env names them; an empty one counts as unset.
    """
    return run(*arguments, environment=database.settings | changes)


def run(*arguments: str, given: bytes = b"", environment: Mapping[str, str] | None = None) -> Done:
    """The same where no database need be; ``given`` is its standard input, ``environment`` is added to ours."""
    out, err = io.StringIO(), io.StringIO()
    line = ["manage.py", *arguments]
    with (
        patch.dict(os.environ, environment or {}),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given))),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = _in_a_thread(line, err) if asyncio._get_running_loop() else _exit_code(line, err)
    LOGS.take("commands", err.getvalue())
    return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())


def manage(database: Database, *arguments: str, **changes: str) -> str:
    """What a command prints that must succeed."""
    done = command(database, *arguments, **changes)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _in_a_thread(line: list[str], err: io.StringIO) -> int:
    """Run it where no event loop runs: Playwright's is the test's thread's, and Django's ORM refuses to work in one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_exit_code, line, err).result()


def _exit_code(line: list[str], err: io.StringIO) -> int:
    """Run it as manage.py does."""
    try:
        with _process_settings():
            ManagementUtility(line).fetch_command(line[1]).run_from_argv(line)
    except SettingsError as error:
        err.write(f"{error}\n")
        return 1
    except SystemExit as end:
        if isinstance(end.code, str):
            err.write(f"{end.code}\n")
            return 1
        return end.code or 0
    return 0


@contextmanager
def _process_settings() -> Iterator[None]:
    """The settings and connections that a process would have that began in the environment of this moment."""
    fresh = {name: value for name, value in runpy.run_path(str(_SETTINGS)).items() if name.isupper()}
    changed = {name: value for name, value in fresh.items() if getattr(settings, name, None) != value}
    changed = {name: value for name, value in changed.items() if name not in _OF_THE_PROCESS}
    with override_settings(**changed), _connections(fresh["DATABASES"]), plugin.database_access():
        yield


@contextmanager
def _connections(databases: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Django's connections of this thread put aside, and others in their place."""
    before = connections.settings
    kept = connections.all(initialized_only=True)
    for connection in kept:
        del connections[connection.alias]
    connections.settings = connections.configure_settings(databases)
    try:
        yield
    finally:
        connections.close_all()
        for connection in connections.all(initialized_only=True):
            del connections[connection.alias]
        connections.settings = before
        for connection in kept:
            connections[connection.alias] = connection
