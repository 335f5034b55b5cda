"""Whoever accounts for numbers may read which NUMBER_KEY made them."""

from pathlib import Path

from django.db import migrations

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("issuance", "0002_number_account")]
    operations = [sqlfiles.run(SQL / "reporter_reads_allocator.sql")]
