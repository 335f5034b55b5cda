"""What a database shows to a coordinator of shards of its counts."""

from pathlib import Path

from django.db import migrations

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("reports", "0001_reports"), ("ledger", "0005_shard_views")]
    operations = [sqlfiles.run(SQL / "shard_views.sql")]
