"""What witnesses say of the log. Read and written by SQL alone, so Django has no models of it."""

from pathlib import Path

from django.db import migrations

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    # The reports' first migration makes the role of the nightly check, which reads what witnesses signed.
    dependencies = [("ledger", "0007_customer_key"), ("reports", "0001_reports")]
    operations = [sqlfiles.run(SQL / "cosignature.sql")]
