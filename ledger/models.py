"""The ledger's tables as Django reads them; ledger/sql/ makes them and guards them.

Nothing inserts through these models: ledger.store does, in batches. PostgreSQL refuses every change of a row.
"""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models


class IssuanceEvent(models.Model):
    """One number given out: to whom (as a pseudonym), for which route, when."""

    serial = models.BigIntegerField(unique=True)  # 41 bits, never handed out twice; the log follows its order
    order_created_at = models.DateTimeField()  # when the order was made, as the caller says
    requested_at = models.DateTimeField()  # when the service took the request: `created_at` of the answer
    principal = models.BigIntegerField(null=True)  # id of the API key that asked; null without a key
    customer_key_id = models.SmallIntegerField()  # which customer key made the tag
    weight_band = models.SmallIntegerField()  # 0 to 10
    request_id = models.UUIDField()
    customer_tag = models.BinaryField(max_length=32)  # HMAC-SHA-256(customer key, customer id)
    number = models.TextField(primary_key=True, db_collation="C")  # 16 characters
    origin = models.TextField(db_collation="C")  # ISO 3166-1 alpha-2
    destination = models.TextField(db_collation="C")  # ISO 3166-1 alpha-2

    class Meta:
        """Names that the SQL file uses too; a test compares the two."""

        db_table = "issuance_event"
        indexes = (
            models.Index(fields=["customer_tag", "serial"], name="issuance_event_customer"),
            BrinIndex(
                fields=["serial", "requested_at", "request_id", "principal", "origin", "destination"],
                name="issuance_event_ranges",
                opclasses=[
                    *("int8_minmax_ops", "timestamptz_minmax_ops"),
                    *("uuid_bloom_ops", "int8_bloom_ops", "text_bloom_ops", "text_bloom_ops"),
                ],
                pages_per_range=64,
                autosummarize=True,
            ),
        )

    def __str__(self) -> str:
        return self.number
