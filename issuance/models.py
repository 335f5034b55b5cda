"""The allocator's tables as Django reads them; issuance/sql/ makes them. All three are append-only."""

from django.db import models
from django.db.models import Func

_CLOCK = Func(function="clock_timestamp", output_field=models.DateTimeField())


class NumberBlock(models.Model):
    """1,024 serials leased to one writer; a row is a lease that was made, never one that may be reused."""

    id = models.BigIntegerField(primary_key=True)  # serials id * 1024 to id * 1024 + 1023
    writer = models.BigIntegerField()  # advisory lock that the writer's session holds while it lives
    leased_at = models.DateTimeField(db_default=_CLOCK)

    class Meta:
        """Names that the SQL file uses too."""

        db_table = "number_block"

    def __str__(self) -> str:
        return f"block {self.id}"


class IdempotencyClaim(models.Model):
    """An Idempotency-Key that was used, as keyed hashes, and the number that answered it."""

    tag = models.BinaryField(primary_key=True, max_length=32)  # whose key: caller, customer, Idempotency-Key
    fingerprint = models.BinaryField(max_length=32)  # what was asked: the seven canonical parameters
    number = models.TextField(db_collation="C")

    class Meta:
        """Names that the SQL file uses too."""

        db_table = "idempotency_claim"

    def __str__(self) -> str:
        return self.number


class Allocator(models.Model):
    """Who allocates here: a single row, compared with the fence and the settings before anything is issued."""

    id = models.UUIDField()
    key_fingerprint = models.BinaryField(max_length=32)  # of NUMBER_KEY, which may never change
    created_at = models.DateTimeField(db_default=_CLOCK)
    shard = models.SmallIntegerField()  # 0 to 31
    singleton = models.BooleanField(primary_key=True, db_default=True)

    class Meta:
        """Names that the SQL file uses too."""

        db_table = "allocator"

    def __str__(self) -> str:
        return f"allocator {self.id}, shard {self.shard}"
