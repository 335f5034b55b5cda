"""What each night's accounting for numbers found; it is read and written by SQL alone, so Django has no model of it."""

from pathlib import Path

from django.db import migrations

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    # The role of whoever writes it is made with the reports.
    dependencies = [("issuance", "0001_allocator"), ("reports", "0001_reports"), ("ledger", "0006_recovery")]
    operations = [sqlfiles.run(SQL / "number_account.sql")]
