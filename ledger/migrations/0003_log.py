"""The log: its tree, and what was signed about it. Read and written by SQL alone, so Django has no models of it."""

from pathlib import Path

from django.db import migrations

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_issuance_event")]
    operations = [sqlfiles.run(SQL / "log.sql")]
