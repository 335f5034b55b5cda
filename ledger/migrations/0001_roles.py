"""Who may do what, before there is anything to do it to."""

from pathlib import Path

from django.db import migrations

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        sqlfiles.run(SQL / "roles.sql"),
        sqlfiles.run(SQL / "database.sql"),
    ]
