"""Whoever may log in to the console, and the count of tries to."""

from pathlib import Path

from django.db import migrations, models

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    initial = True
    dependencies = [("ledger", "0002_issuance_event")]  # the roles, and the refusal of changes
    operations = [
        sqlfiles.run(
            SQL / "staff.sql",
            state=[
                migrations.CreateModel(
                    name="StaffUser",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        (
                            "created_at",
                            models.DateTimeField(
                                db_default=models.Func(function="clock_timestamp", output_field=models.DateTimeField())
                            ),
                        ),
                        ("epoch", models.IntegerField(db_default=0)),
                        ("one_time", models.BooleanField()),
                        ("active", models.BooleanField(db_default=True)),
                        ("name", models.TextField(unique=True)),
                        ("password", models.TextField()),
                    ],
                    options={"db_table": "staff_user"},
                )
            ],
        ),
    ]
