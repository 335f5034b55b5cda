"""What is known of the customers' keys. Read and written by SQL alone, so Django has no model of it."""

from pathlib import Path

from django.db import migrations

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0006_recovery")]
    operations = [sqlfiles.run(SQL / "customer_key.sql")]
