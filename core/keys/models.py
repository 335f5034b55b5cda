"""The table of API keys as Django reads it; core/keys/sql/ makes it and guards it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Func

_CLOCK = Func(function="clock_timestamp", output_field=models.DateTimeField())


class ApiKey(models.Model):
    """A key that was given out; of its text only a hash is kept."""

    id = models.BigIntegerField(primary_key=True)  # random; the principal of the events that the key issues
    created_at = models.DateTimeField(db_default=_CLOCK)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)  # once it is there it stays
    last_used_at = models.DateTimeField(null=True)  # to the minute
    bound = models.BooleanField()  # to one customer, whose id stands in the key and not here
    digest = models.BinaryField(max_length=32)  # SHA-256 of the key
    name = models.TextField()  # what the operator calls it
    scopes = ArrayField(models.TextField())

    class Meta:
        """Names that the SQL file uses too."""

        db_table = "api_key"

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"
