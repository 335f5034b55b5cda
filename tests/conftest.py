"""Fixtures that need a database: each test module has one of its own.

The ledger refuses DELETE and TRUNCATE, to a superuser too, so nothing is ever emptied; `django_db(transaction=True)`
and live servers, which flush, are not for this project.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec
import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings
from psycopg.conninfo import conninfo_to_dict
from pytest_django import DjangoDbBlocker

from tests.plugin import CLUSTER, Database
from tests.support.browser import chromium as browsers
from tests.support.browser import node as tools
from tests.support.processes import tools as debian
from tests.support.processes.service import Service, ServiceFactory


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the length of the fault tests be chosen, and CI say that nothing may be left out."""
    parser.addoption("--campaign", action="store_true", help="meet the faults at full length")
    parser.addoption("--numbers", type=int, default=0, help="how many numbers the test of uniqueness issues")
    parser.addoption("--soak-minutes", type=float, default=0, help="how long the long drill takes; 0: it is left out")
    parser.addoption("--soak-seed", type=int, default=0, help="what a soak had that is to be repeated")
    parser.addoption("--require-node", action="store_true", help="fail what needs node and npm where there are none")
    parser.addoption("--require-browser", action="store_true", help="fail what needs Chromium where there is none")
    parser.addoption("--require-tools", action="store_true", help="fail what needs a Debian package that is missing")


class Length(Protocol):
    """What the fixture `length` gives."""

    def __call__[T](self, bounded: T, full: T) -> T: ...


@pytest.fixture(scope="session")
def length(request: pytest.FixtureRequest) -> Length:
    """Chooses between two sizes of a fault test: `make test` takes the first one, `make campaign` the second."""
    campaign: bool = request.config.getoption("--campaign")

    def choose[T](bounded: T, full: T) -> T:
        return full if campaign else bounded

    return choose


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> None:
    """The programs node and npm; without them the test is left out and says so, unless all are asked for."""
    _or_leave_out(request, "--require-node", tools.find)


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """What npm installs, as far as it can be had."""
    _or_leave_out(request, "--require-node", tools.install)
    return tools.MODULES


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> Path:
    """The browser's program, as far as it can be had."""
    return _or_leave_out(request, "--require-browser", browsers.find)


@pytest.fixture(scope="session")
def tool(request: pytest.FixtureRequest) -> Callable[[str, str], Path]:
    """Finds a program of a Debian package: `tool("haproxy", "haproxy")`."""
    return lambda program, package: _or_leave_out(request, "--require-tools", lambda: debian.find(program, package))


@pytest.fixture(scope="session")
def shared_library(request: pytest.FixtureRequest) -> Callable[[str, str], Path]:
    """Finds a library of a Debian package: `shared_library("*/faketime/libfaketime.so.1", "libfaketime")`."""
    return lambda pattern, package: _or_leave_out(request, "--require-tools", lambda: debian.library(pattern, package))


def _or_leave_out[T](request: pytest.FixtureRequest, flag: str, find: Callable[[], T]) -> T:
    try:
        return find()
    except (tools.NoNodeError, browsers.NoBrowserError, debian.NoToolError) as error:
        if request.config.getoption(flag):
            pytest.fail(str(error))
        pytest.skip(f"left out, since {error}")


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """A migrated, empty database that only this module uses."""
    made = CLUSTER.create()
    yield made
    CLUSTER.drop(made)


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceFactory]:
    """Starts the real service: `service(database, WEB_CONCURRENCY="1")`; what still runs is stopped at the end."""
    started: list[Service] = []

    def start(database: Database, *, initialise: bool = True, **given: str) -> Service:
        started.append(Service(database, initialise=initialise, **given))
        return started[-1]

    yield start
    for each in reversed(started):
        each.stop()


@pytest.fixture(scope="module")
def django_db_setup(database: Database, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Point Django at the module's database, where pytest-django would make one itself."""
    env = msgspec.structs.replace(
        settings.ENV, database_url=database.url, database_owner_url=database.owner_url, fence=str(database.fence)
    )
    for alias, url in (("default", database.url), ("owner", database.owner_url)):
        connections.settings[alias]["NAME"] = conninfo_to_dict(url)["dbname"]
    with override_settings(ENV=env, DATABASE_URL=database.url):
        yield
    with django_db_blocker.unblock():
        connections.close_all()
