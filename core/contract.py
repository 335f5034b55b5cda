"""How problem documents are described in the OpenAPI document, the same for every operation."""

from collections.abc import Sequence
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema_field
from rest_framework import serializers

from core import problems
from core.problems import Problem

EXAMPLE_ID = "019376f3-3c1e-7cc0-b5a1-6d0f7c0b1f52"
_FLAWS: Final = (
    {"parameter": "weight", "code": "range", "detail": "The weight must be more than 0 and at most 1000 kg."},
    {"parameter": "customer_slug", "code": "missing", "detail": "This parameter is required."},
)
EVERYWHERE = (
    problems.BAD_REQUEST,
    problems.METHOD_NOT_ALLOWED,
    problems.REQUEST_TIMEOUT,
    problems.HEADERS_TOO_LARGE,
    problems.INTERNAL,
)
"""What any request may be answered with, whatever it asks for: the server and the middleware see it first."""


@extend_schema_field({"type": "string", "format": "uri-reference"})
class UriReferenceField(serializers.CharField):
    """A URI, or a path of this service (RFC 3986, section 4.1)."""


class FlawSerializer(serializers.Serializer[Any]):
    """One thing that is wrong with a request."""

    parameter = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457 problem details."""

    type = UriReferenceField(help_text="What kind of problem this is; it leads to a description.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = UriReferenceField(help_text="The path of the request, without its query.")
    request_id = serializers.UUIDField()
    errors = FlawSerializer(many=True, required=False)  # type: ignore[assignment]  # a field that DRF's own attribute shadows


class ShardSizeSerializer(serializers.Serializer[Any]):
    """What an answer over several shards has of one."""

    shard = serializers.IntegerField(min_value=0, max_value=31)
    size = serializers.IntegerField(min_value=0, help_text="Leaves of its log.")


ACROSS: Final = (
    "Only where the instance reads several shards: `size` is the sum of these, of which each is of its moment."
)


def problem_responses(
    instance: str, *kinds: Problem, flaws: Sequence[dict[str, str]] = _FLAWS
) -> dict[tuple[int, str], OpenApiResponse]:
    """One response per status, with an example per problem type.

    Args:
        instance: the path of the request.
        kinds: what the operation may answer with; EVERYWHERE need not be given, nor what may be said instead of a 401.
        flaws: those of invalid parameters.
    """
    responses: dict[tuple[int, str], OpenApiResponse] = {}
    guessed = (problems.TOO_MANY_WRONG_KEYS,) if problems.UNAUTHORIZED in kinds else ()
    every = dict.fromkeys((*kinds, *guessed, *EVERYWHERE))
    for status in sorted({kind.status for kind in every}):
        same = [kind for kind in every if kind.status == status]
        responses[status, problems.CONTENT_TYPE] = OpenApiResponse(
            ProblemSerializer,
            description="; ".join(kind.title for kind in same) + ".",
            examples=[
                OpenApiExample(kind.slug, value=_example(kind, instance, flaws), media_type=problems.CONTENT_TYPE)
                for kind in same
            ],
        )
    return responses


def _example(kind: Problem, instance: str, flaws: Sequence[dict[str, str]]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.advice,
        "instance": instance,
        "request_id": EXAMPLE_ID,
    }
    if kind is problems.INVALID_PARAMETERS:
        document["errors"] = list(flaws)
    return document
