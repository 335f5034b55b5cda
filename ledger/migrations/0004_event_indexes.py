"""What lists of events go by."""

from pathlib import Path

from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models

from core import sqlfiles

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_log")]
    operations = [
        sqlfiles.run(
            SQL / "event_indexes.sql",
            state=[
                migrations.RemoveIndex(model_name="issuanceevent", name="issuance_event_requested_at"),
                migrations.RemoveIndex(model_name="issuanceevent", name="issuance_event_customer"),
                migrations.AddIndex(
                    model_name="issuanceevent",
                    index=models.Index(fields=["customer_tag", "serial"], name="issuance_event_customer"),
                ),
                migrations.AddIndex(
                    model_name="issuanceevent",
                    index=BrinIndex(
                        autosummarize=True,
                        fields=["serial", "requested_at", "request_id", "principal", "origin", "destination"],
                        name="issuance_event_ranges",
                        opclasses=[
                            "int8_minmax_ops",
                            "timestamptz_minmax_ops",
                            "uuid_bloom_ops",
                            "int8_bloom_ops",
                            "text_bloom_ops",
                            "text_bloom_ops",
                        ],
                        pages_per_range=64,
                    ),
                ),
            ],
        )
    ]
