"""What the log's reads promise, for the OpenAPI document."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from core import problems
from core.contract import problem_responses

_EVERYWHERE = (problems.LOG_INCONSISTENT,)
_GATED = (problems.UNAUTHORIZED, problems.MISSING_SCOPE, problems.OTHER_CUSTOMER)
NOTE = (
    "tracking.example/log\n3\nCagNhafSGn3AsCeiqh+86YTyjLqcIE8gWzX2OStP5dQ=\n\n"
    "\N{EM DASH} tracking.example/log "
    "Vmv0nD+zXz3RMujWZ5VjEuemQL/L/07wP95AWyR9cuEYdCwpGtuCaevKqyMCrV0DgarfVkLpdUXtV5Q1TLF75el3wwI=\n"
)
# Levels 0 to 63; groups of three digits, the first of several not 000; widths 1 to 255. A tile has but one path.
_TILE_PATH = (
    "^(entries|[0-9]|[1-5][0-9]|6[0-3])"
    "/(x(00[1-9]|0[1-9][0-9]|[1-9][0-9]{2})/(x[0-9]{3}/)*)?[0-9]{3}"
    r"(\.p/([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$"
)
_HASH = "O5r78+amPaYPmNUTpzt4hINJtYHzTDPzP0coUWvg7Jo="
NUMBER = OpenApiParameter(
    "number",
    OpenApiTypes.STR,
    OpenApiParameter.PATH,
    description="A tracking number. Small letters, and spaces and hyphens between groups, may stand as on a label.",
    examples=[OpenApiExample("a number", value="3K9M7QX2PZ4MYIDT")],
)


def _text(description: str, example: str) -> dict[tuple[int, str], OpenApiResponse]:
    shown = [OpenApiExample("example", value=example, media_type="text/plain")]
    return {(200, "text/plain"): OpenApiResponse(OpenApiTypes.STR, description=description, examples=shown)}


def _checkpoint_problems(path: str) -> dict[tuple[int, str], Any]:
    asked = (*_GATED, problems.BEYOND_THE_TREE, problems.ONE_LOG_EACH)
    return problem_responses(path, *asked, problems.DATABASE_UNAVAILABLE, *_EVERYWHERE)


CHECKPOINT: dict[str, Any] = {
    "operation_id": "checkpoint",
    "summary": "The newest checkpoint of the log",
    "description": (
        "The log's signed size and root (c2sp.org/tlog-checkpoint). Keep one, and check later ones by it. Cosignatures "
        "of witnesses stand below as soon as there are some; `/witnessed-checkpoint` has enough of them."
    ),
    "tags": ["Log"],
    "responses": {
        **_text("A signed note.", NOTE),
        **_checkpoint_problems("/checkpoint"),
    },
}
WITNESSED: dict[str, Any] = CHECKPOINT | {
    "operation_id": "witnessed_checkpoint",
    "summary": "The newest checkpoint that enough witnesses have cosigned",
    "description": (
        "As `/checkpoint`, with the cosignatures (c2sp.org/tlog-cosignature) of a quorum of the log's witnesses; some "
        "seconds older. Not found where the log has no witnesses, or they have cosigned nothing yet."
    ),
    "responses": {**_text("A signed note.", NOTE), **_checkpoint_problems("/witnessed-checkpoint")},
}
TILE: dict[str, Any] = {
    "operation_id": "tile",
    "summary": "A tile of the log, or a bundle of its entries",
    "description": (
        "`<level>/<index>` with `.p/<width>` if partial: up to 256 hashes, 32 bytes each. `entries/<index>`, for "
        "auditors: up to 256 entries, each behind its length in two bytes. See c2sp.org/tlog-tiles."
    ),
    "tags": ["Log"],
    "parameters": [
        OpenApiParameter(
            "path",
            {"type": "string", "pattern": _TILE_PATH, "maxLength": 64},
            OpenApiParameter.PATH,
            description="The path of the tile below /tile/.",
            examples=[OpenApiExample("the first leaf hash", value="0/000.p/1")],
        ),
    ],
    "responses": {
        (200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, description="Hashes, or entries."),
        **problem_responses(
            "/tile/0/000.p/1",
            *(problems.MALFORMED_TILE_PATH, *_GATED, problems.BEYOND_THE_TREE, problems.ONE_LOG_EACH),
            *(problems.DATABASE_UNAVAILABLE, *_EVERYWHERE),
        ),
    },
}
PROOF: dict[str, Any] = {
    "operation_id": "proof",
    "summary": "The proof that a number is in the log",
    "description": (
        "With the `leaf_hash` of the number's answer and the log's verifier key it is checked offline: a "
        "c2sp.org/tlog-proof. docs/verify.md says how."
    ),
    "tags": ["Log"],
    "parameters": [NUMBER],
    "responses": {
        **_text("A proof.", f"c2sp.org/tlog-proof@v1\nindex 0\n{_HASH}\n{_HASH}\n\n{NOTE}"),
        **problem_responses(
            "/v1/tracking-numbers/3K9M7QX2PZ4MYIDT/proof",
            *(problems.UNKNOWN_NUMBER, problems.CHECK_CHARACTER, problems.NOT_YET_SEALED),
            *(problems.DATABASE_UNAVAILABLE, problems.SHARD_UNAVAILABLE, *_EVERYWHERE),
        ),
    },
}
