"""``python -m tests.support.programs.patient_sealer``: a sealer that waits longer for a witness."""

import os
from functools import partial

import django
from django.core.management import call_command

from ledger import witness_http

COMMAND = ("-m", "tests.support.programs.patient_sealer")
PATIENCE = 20


def main() -> None:
    """Seal."""
    vars(witness_http)["Asker"] = partial(witness_http.Asker, PATIENCE)
    os.environ["DJANGO_SETTINGS_MODULE"] = "core.settings"
    django.setup()
    call_command("seal_ledger")


if __name__ == "__main__":
    main()
