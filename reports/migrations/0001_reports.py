"""The role that counts, and its tables; they are read and written by SQL alone, so Django has no models of them."""

from pathlib import Path

from django.db import migrations

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    initial = True
    dependencies = [("ledger", "0004_event_indexes"), ("issuance", "0001_allocator")]
    operations = [sqlfiles.run(SQL / f"{name}.sql") for name in ("reporter", "counts", "reports")]
