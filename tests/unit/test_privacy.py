"""What is kept of a person is declared column by column, and no test keeps a log from the one that reads them all."""

import re

from django.apps import apps
from django.db import router

from core.privacy import COLUMNS, Kind
from tests.plugin import ROOT

PSEUDONYMOUS = [
    (table, column)
    for table, columns in COLUMNS.items()
    for column, kind in columns.items()
    if kind == Kind.PSEUDONYMOUS
]

REDIRECTED = {
    "logs.py": "the fixture `heard`, which hands on what it reads",
    "support/processes/sealers.py": "handed on",
    "support/processes/shards.py": "handed on",
    "integration/test_fences.py": "ends before it serves",
    "integration/test_embedded.py": "handed on, but for what `make run` prints before it serves",
    "integration/test_logs_are_read.py": "the runs that it starts look themselves",
    "integration/test_rebuild_reports.py": "handed on",
    "api/test_schemathesis.py": "a client's",
    "support/drills/rehearsal.py": "reads them itself, of an image that no test runs",
    "support/clients/generated_clients.py": "a client's",
    "support/browser/node.py": "a client's",
    "support/servers/disks.py": "mount(8)",
    "faults/test_checker.py": "the checker's",
    "faults/test_restore_drill.py": "handed on",
    "faults/test_restores.py": "takes nothing",
    "faults/test_soak.py": "takes nothing",
    "unit/test_publication.py": "mount(8)",
    "integration/test_gunicorn_conf.py": "ends before it serves",
    "integration/test_proxy.py": "ends before it serves",
    "integration/test_start_refused.py": "ends before it serves",
    "integration/test_tasks.py": "ends before it serves",
    "integration/test_process.py": "ends before it serves",
    "integration/test_verify_doc.py": "has no database",
    "support/processes/shipped_files.py": "has no database",
    "unit/test_container_files.py": "has no database",
    "integration/test_migrating.py": "has no events",
}
"""The tests that take what a program writes for themselves, and why no log line gets lost by that."""


def test_nothing_personal_is_stored() -> None:
    kinds = {kind for columns in COLUMNS.values() for kind in columns.values()}
    assert kinds == {Kind.PSEUDONYMOUS, Kind.NOT_PERSONAL}


def test_every_field_of_every_model_is_declared() -> None:
    for model in apps.get_models():
        if not router.allow_migrate_model("default", model):
            continue  # Django's own, of which there is no table
        columns = {field.column for field in model._meta.concrete_fields}
        assert columns == set(COLUMNS[model._meta.db_table]), model._meta.db_table


def test_what_is_pseudonymous_is_explained() -> None:
    words = (ROOT / "docs" / "privacy.md").read_text()
    for table, column in PSEUDONYMOUS:
        assert f"`{table}`" in words, table
        assert f"`{column}`" in words, column


def test_no_log_is_kept_from_the_check_of_all_logs() -> None:
    taken = re.compile(r"capture_output|capfd|capsys|stderr=")
    tests = ROOT / "tests"
    found = {
        str(file.relative_to(tests))
        for file in tests.rglob("*.py")
        if taken.search(file.read_text()) and file.name != "test_privacy.py"
    }
    assert found == set(REDIRECTED)
