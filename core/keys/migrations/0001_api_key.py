"""API keys."""

from pathlib import Path

import django.contrib.postgres.fields
from django.db import migrations, models

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    initial = True
    dependencies = [("ledger", "0002_issuance_event")]  # the roles, and the refusal of changes
    operations = [
        sqlfiles.run(
            SQL / "api_key.sql",
            state=[
                migrations.CreateModel(
                    name="ApiKey",
                    fields=[
                        ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                        (
                            "created_at",
                            models.DateTimeField(
                                db_default=models.Func(function="clock_timestamp", output_field=models.DateTimeField())
                            ),
                        ),
                        ("expires_at", models.DateTimeField(null=True)),
                        ("revoked_at", models.DateTimeField(null=True)),
                        ("last_used_at", models.DateTimeField(null=True)),
                        ("bound", models.BooleanField()),
                        ("digest", models.BinaryField(max_length=32)),
                        ("name", models.TextField()),
                        ("scopes", django.contrib.postgres.fields.ArrayField(models.TextField(), size=None)),
                    ],
                    options={"db_table": "api_key"},
                )
            ],
        ),
    ]
