"""What a start imports: whatever it does not need costs CPU and memory each time, to users and to tests."""

import json
import os
import subprocess
import sys
from typing import Final

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class

from tests.plugin import ROOT

OURS: Final = ("core", "issuance", "ledger", "reports", "schema")
SETUP: Final = {
    *OURS,
    *("django", "asgiref", "sqlparse", "psycopg", "psycopg_binary", "unfold"),
    *("rest_framework", "drf_spectacular", "drf_spectacular_sidecar"),  # their names only: see HEAVY
    *("msgspec", "structlog", "typing_extensions"),
    *("greenlet",),  # psycopg looks for it; production has none
}
"""What django.setup() may import from outside of Python."""
UNUSED: Final = {"rich", "requests", "jinja2", "pygments"}
"""What libraries import where it is installed, though nothing here uses it."""
HEAVY: Final = {"PIL", "barcode", "boto3", "opentelemetry"}
"""What only some processes use, and import when they do."""
OF_THE_WEB: Final = {
    "rest_framework.views",
    "drf_spectacular.utils",
    "uvicorn",
    "gunicorn",
    "a2wsgi",
    "core.urls",
    "issuance.runtime",
}
LOOKED_AT_IN_CI: Final = {"migrate", "generate_docs"}
"""Commands that import all there is: Django's own checks everything, and the schema is made of all views."""


def imported(statements: str) -> set[str]:
    """The modules that a process has, with the packages that they are in, after it has run statements."""
    program = f"import json, sys\n{statements}\nprint(json.dumps(list(sys.modules)))"
    setup = "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'core.settings'\nimport django; django.setup()\n"
    given = os.environ | {"REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "-c", setup + program]
    done = subprocess.run(command, check=True, cwd=ROOT, env=given, stdout=subprocess.PIPE)
    return set(json.loads(done.stdout))


def commands() -> dict[str, str]:
    """The commands of this project, and the apps that they are of."""
    labels = {config.name for config in apps.get_app_configs() if config.name.partition(".")[0] in OURS}
    return {name: str(app) for name, app in get_commands().items() if app in labels}


def test_django_is_set_up_with_few_libraries() -> None:
    foreign = {name.partition(".")[0] for name in imported("")} - sys.stdlib_module_names
    foreign = {name for name in foreign if not name.startswith(("_", "cython_runtime"))}
    assert foreign <= SETUP, "a start grows for every command; import it where it is used"


def test_no_command_imports_what_the_web_needs_or_what_only_some_use() -> None:
    names = {name: app for name, app in commands().items() if name not in LOOKED_AT_IN_CI}
    assert len(names) > 15
    loads = [f"load_command_class({app!r}, {name!r})" for name, app in names.items()]
    found = imported("\n".join(["from django.core.management import load_command_class", *loads]))
    assert not found & (UNUSED | HEAVY | OF_THE_WEB)


@pytest.mark.parametrize("name", sorted(set(commands()) - LOOKED_AT_IN_CI))
def test_a_command_runs_no_checks_of_the_code_which_would_import_every_view(name: str) -> None:
    assert load_command_class(commands()[name], name).requires_system_checks == ()


def test_a_web_process_has_nothing_that_it_does_not_use() -> None:
    found = imported("import core.asgi, core.worker")
    assert {"core.urls", "rest_framework.views"} <= found, "with the start, not with the first request"
    assert not found & (UNUSED | HEAVY | {"celery", "redis"})


def test_a_worker_of_the_reports_has_nothing_of_the_web() -> None:
    assert not imported("import core.celery, reports.tasks") & (UNUSED | HEAVY | OF_THE_WEB)
