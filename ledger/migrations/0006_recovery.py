"""What was done after a restore, and where a log had to end."""

from pathlib import Path

from django.db import migrations

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_shard_views"), ("reports", "0001_reports")]
    operations = [sqlfiles.run(SQL / "recovery.sql")]
