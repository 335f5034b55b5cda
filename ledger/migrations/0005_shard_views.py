"""What a database shows to a coordinator of shards."""

from pathlib import Path

from django.db import migrations

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_event_indexes")]
    operations = [sqlfiles.run(SQL / "shard_views.sql")]
