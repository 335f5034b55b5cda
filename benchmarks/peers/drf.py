"""Stock Django REST framework: a serializer, an ORM create, a generic view that finds it again, one gunicorn."""

import secrets
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from benchmarks.peers import common

_database = conninfo_to_dict(common.DATABASE_URL)
settings.configure(
    SECRET_KEY=secrets.token_hex(32),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    # What startproject gives, without what an API has no use for: sessions, CSRF, logins, messages.
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    INSTALLED_APPS=["rest_framework"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _database["dbname"],
            "USER": _database["user"],
            "HOST": _database["host"],
            "CONN_MAX_AGE": None,  # a session a thread, for as long as the thread lives
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

# Only now: these read the settings when they are imported.
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.generics import RetrieveAPIView  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Event(models.Model):
    """The service's table, seen by an ORM."""

    number = models.CharField(max_length=16, primary_key=True)
    serial = models.BigIntegerField(unique=True)
    customer_tag = models.BinaryField()
    customer_key_id = models.SmallIntegerField()
    origin = models.CharField(max_length=2)
    destination = models.CharField(max_length=2)
    weight_band = models.SmallIntegerField()
    order_created_at = models.DateTimeField()
    requested_at = models.DateTimeField()
    request_id = models.UUIDField()
    principal = models.BigIntegerField(null=True)

    class Meta:
        """Made by the project's migrations, not here."""

        app_label = "peer"
        managed = False
        db_table = "issuance_event"

    def __str__(self) -> str:
        return self.number


class OrderSerializer(serializers.Serializer[Event]):
    """The seven parameters."""

    origin_country_id = serializers.ChoiceField(choices=sorted(common.COUNTRIES))
    destination_country_id = serializers.ChoiceField(choices=sorted(common.COUNTRIES))
    weight = serializers.DecimalField(max_digits=7, decimal_places=3, min_value=Decimal("0.001"), max_value=1000)
    created_at = serializers.DateTimeField()
    customer_id = serializers.UUIDField()
    customer_name = serializers.CharField(max_length=200)
    customer_slug = serializers.RegexField(common.SLUG, max_length=200)

    def validate_created_at(self, moment: datetime) -> datetime:
        """Not in the future."""
        try:
            return common.checked_time(moment)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None

    def create(self, validated_data: dict[str, Any]) -> Event:
        """Insert the row."""
        event: Event = Event.objects.create(  # type: ignore[attr-defined]  # the plugin knows the apps of core.settings
            number=common.new_number(validated_data["origin_country_id"], validated_data["destination_country_id"]),
            serial=common.new_serial(),
            customer_tag=common.customer_tag(validated_data["customer_id"].bytes),
            customer_key_id=1,
            origin=validated_data["origin_country_id"],
            destination=validated_data["destination_country_id"],
            weight_band=common.weight_band(validated_data["weight"]),
            order_created_at=validated_data["created_at"],
            requested_at=datetime.now(UTC),
            request_id=uuid.uuid4(),
        )
        return event


class NextTrackingNumber(APIView):
    """Issue one number."""

    def get(self, request: Request) -> Response:
        """Validate, insert, answer."""
        serializer = OrderSerializer(data=request.query_params)
        serializer.is_valid(raise_exception=True)
        event = serializer.save()
        return Response({"tracking_number": event.number, "created_at": event.requested_at})


class EventSerializer(serializers.ModelSerializer[Event]):
    """All columns."""

    class Meta:
        """Of the service's table."""

        model = Event
        fields = "__all__"


class TrackingNumber(RetrieveAPIView[Event]):
    """Find one number."""

    queryset = Event.objects.all()  # type: ignore[attr-defined]  # as above
    serializer_class = EventSerializer
    lookup_url_kwarg = "number"


urlpatterns = [
    path("next-tracking-number", NextTrackingNumber.as_view()),
    path("v1/tracking-numbers/<str:number>", TrackingNumber.as_view()),
]
application = get_wsgi_application()
