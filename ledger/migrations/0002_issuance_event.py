"""The events, and the trigger function that refuses to change them."""

from pathlib import Path

from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_roles")]
    operations = [
        sqlfiles.run(SQL / "append_only.sql"),
        sqlfiles.run(
            SQL / "issuance_event.sql",
            state=[
                migrations.CreateModel(
                    name="IssuanceEvent",
                    fields=[
                        ("serial", models.BigIntegerField(unique=True)),
                        ("order_created_at", models.DateTimeField()),
                        ("requested_at", models.DateTimeField()),
                        ("principal", models.BigIntegerField(null=True)),
                        ("customer_key_id", models.SmallIntegerField()),
                        ("weight_band", models.SmallIntegerField()),
                        ("request_id", models.UUIDField()),
                        ("customer_tag", models.BinaryField(max_length=32)),
                        ("number", models.TextField(db_collation="C", primary_key=True, serialize=False)),
                        ("origin", models.TextField(db_collation="C")),
                        ("destination", models.TextField(db_collation="C")),
                    ],
                    options={
                        "db_table": "issuance_event",
                        "indexes": [
                            BrinIndex(fields=["requested_at"], name="issuance_event_requested_at"),
                            models.Index(fields=["customer_tag", "requested_at"], name="issuance_event_customer"),
                        ],
                    },
                )
            ],
        ),
    ]
