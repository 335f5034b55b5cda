"""What the allocator keeps: who it is, what it leased, which Idempotency-Keys it answered."""

from pathlib import Path

from django.db import migrations, models

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


def _clock() -> models.Func:
    return models.Func(function="clock_timestamp", output_field=models.DateTimeField())


class Migration(migrations.Migration):
    initial = True
    dependencies = [("ledger", "0002_issuance_event")]
    operations = [
        sqlfiles.run(
            SQL / "allocator.sql",
            state=[
                migrations.CreateModel(
                    name="Allocator",
                    fields=[
                        ("id", models.UUIDField()),
                        ("key_fingerprint", models.BinaryField(max_length=32)),
                        ("created_at", models.DateTimeField(db_default=_clock())),
                        ("shard", models.SmallIntegerField()),
                        ("singleton", models.BooleanField(db_default=True, primary_key=True, serialize=False)),
                    ],
                    options={"db_table": "allocator"},
                )
            ],
        ),
        sqlfiles.run(
            SQL / "number_block.sql",
            state=[
                migrations.CreateModel(
                    name="NumberBlock",
                    fields=[
                        ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("writer", models.BigIntegerField()),
                        ("leased_at", models.DateTimeField(db_default=_clock())),
                    ],
                    options={"db_table": "number_block"},
                )
            ],
        ),
        sqlfiles.run(
            SQL / "idempotency_claim.sql",
            state=[
                migrations.CreateModel(
                    name="IdempotencyClaim",
                    fields=[
                        ("tag", models.BinaryField(max_length=32, primary_key=True, serialize=False)),
                        ("fingerprint", models.BinaryField(max_length=32)),
                        ("number", models.TextField(db_collation="C")),
                    ],
                    options={"db_table": "idempotency_claim"},
                )
            ],
        ),
    ]
