"""Every error that the service answers with: RFC 9457 problem documents, from one table."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path

from core.request_id import id_of

CONTENT_TYPE = "application/problem+json"

logger = logging.getLogger(__name__)


class Problem(NamedTuple):
    """One kind of error; ``/problems/<slug>`` is its type and says what ``advice`` says."""

    slug: str
    status: int
    title: str
    advice: str

    @property
    def type(self) -> str:
        """The problem's type, a relative URI reference."""
        return f"/problems/{self.slug}"

    @property
    def headers(self) -> dict[str, str]:
        """What a client needs beside the document: how to log in, or when to come again."""
        if self.status == HTTPStatus.UNAUTHORIZED:
            return {"WWW-Authenticate": "Bearer"}
        passes = self.status == HTTPStatus.SERVICE_UNAVAILABLE or self.slug == "not-yet-sealed"
        return {"Retry-After": "1"} if passes else {}


class Detail(msgspec.Struct, frozen=True):
    """One flaw of a request, named by its parameter or header."""

    parameter: str
    code: str
    detail: str


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457, section 3, with the request's id and the flaws as extension members."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: tuple[Detail, ...] = ()


INVALID_PARAMETERS = Problem(
    "invalid-parameters",
    400,
    "The parameters are not valid",
    "Correct every parameter named under `errors`; all are listed at once.",
)
INVALID_HEADER = Problem("invalid-header", 400, "A header is not valid", "Correct the header named under `errors`.")
BODY_NOT_ALLOWED = Problem(
    "body-not-allowed", 400, "A body is not allowed", "Put the parameters into the query, and send no body."
)
MALFORMED_BODY = Problem(
    "malformed-body",
    400,
    "The body is not a list of orders",
    "Send a JSON array of 1 to 10,000 orders in UTF-8; `errors` says what this body is not.",
)
MALFORMED_TILE_PATH = Problem(
    "malformed-tile-path",
    400,
    "This is not the path of a tile",
    "Tiles are at /tile/<level>/<index>, with .p/<width> if partial, as c2sp.org/tlog-tiles says.",
)
BAD_REQUEST = Problem(
    "bad-request",
    400,
    "The request can't be understood",
    "Send well-formed HTTP/1.1 with one Host header that this service is known by (ALLOWED_HOSTS).",
)
UNAUTHORIZED = Problem(
    "unauthorized",
    401,
    "This needs a valid key",
    "Send `Authorization: Bearer <key>` with a key that is neither revoked nor expired.",
)
MISSING_SCOPE = Problem(
    "missing-scope", 403, "The key may not do this", "Use a key with the scope that /docs names for this operation."
)
OTHER_CUSTOMER = Problem(
    "other-customer",
    403,
    "The key is bound to one customer",
    "Use it for that customer alone, or use a key that is bound to none.",
)
UNINTENDED = Problem(
    "unintended-request",
    403,
    "A browser made this request on its own",
    "Each request issues a number, so prefetches and requests from other sites are refused. Ask from your own server.",
)
NOT_FOUND = Problem("not-found", 404, "There is nothing here", "See /docs for what there is.")
ONE_LOG_EACH = Problem(
    "one-log-each",
    404,
    "Each shard has a log of its own",
    "This instance reads all shards. Ask an instance of the shard whose log you want, or for the proof of one number.",
)
UNKNOWN_NUMBER = Problem(
    "unknown-number",
    404,
    "This number was never issued",
    "Compare it with the label; the ledger has every number that was ever issued here.",
)
CHECK_CHARACTER = Problem(
    "check-character",
    404,
    "The check character does not fit",
    "A character of the number is wrong, or two have changed places; `detail` says which check character was expected. "
    "Compare it with the label.",
)
NOT_YET_SEALED = Problem(
    "not-yet-sealed",
    404,
    "This number is not in the log yet",
    "It is issued and durable. Try again after Retry-After: the log takes it up within a second.",
)
BEYOND_THE_TREE = Problem(
    "beyond-the-tree",
    404,
    "The log is not that long yet",
    "Ask for what the newest checkpoint's tree has; /checkpoint says its size.",
)
METHOD_NOT_ALLOWED = Problem(
    "method-not-allowed", 405, "This method is not allowed here", "Use one of the methods in the Allow header."
)
NOT_ACCEPTABLE = Problem(
    "not-acceptable", 406, "No such representation", "Accept application/json, or what /docs names for this operation."
)
REQUEST_TIMEOUT = Problem(
    "request-timeout",
    408,
    "The request took too long to arrive",
    "Send all headers within ten seconds, and a body within a minute.",
)
LENGTH_REQUIRED = Problem(
    "length-required", 411, "The length of the body is not known", "Send a Content-Length; chunks are not read here."
)
BODY_TOO_LARGE = Problem(
    "body-too-large", 413, "The body is too large", "Send at most 16 MiB; share the orders out over several calls."
)
CALL_EXCEEDS_QUOTA = Problem(
    "call-exceeds-quota",
    413,
    "The call asks for more than a minute's quota",
    "It can never be granted as a whole. Share the orders out over calls of no more than `q` of RateLimit-Policy.",
)
UNSUPPORTED_MEDIA_TYPE = Problem(
    "unsupported-media-type", 415, "This kind of body is not understood", "Send application/json, not compressed."
)
IDEMPOTENCY_KEY_REUSED = Problem(
    "idempotency-key-reused",
    422,
    "This Idempotency-Key was used for another order",
    "Use a new key for a new order, and the same parameters for a retry.",
)
QUOTA_EXCEEDED = Problem(
    "quota-exceeded",
    429,
    "The quota is spent",
    "Try again after Retry-After. RateLimit-Policy says how many numbers a minute there are, RateLimit what is left.",
)
TOO_MANY_WRONG_KEYS = Problem(
    "too-many-wrong-keys",
    429,
    "Too many wrong keys came from this address",
    "Try again after Retry-After, with the right key. A key that was good here lately is let through meanwhile.",
)
ISSUES_ELSEWHERE = Problem(
    "issues-elsewhere",
    421,
    "This instance issues nothing",
    "It reads the numbers of all shards. Ask an instance that issues into one of them.",
)
HEADERS_TOO_LARGE = Problem(
    "headers-too-large", 431, "The request line and headers are too large", "Keep them below 32 KB in all."
)
INTERNAL = Problem(
    "internal",
    500,
    "Something went wrong here",
    "Nothing was answered; the operator finds the cause in the log by the request id.",
)
LOG_INCONSISTENT = Problem(
    "log-inconsistent",
    500,
    "The log contradicts itself",
    "Nothing was answered, since it could not be trusted. The operator runs `manage.py verify_ledger`.",
)
DATABASE_UNAVAILABLE = Problem(
    "database-unavailable",
    503,
    "The ledger can't be reached",
    "Try again after Retry-After, with an Idempotency-Key if two numbers would be one too many.",
)
SHARD_UNAVAILABLE = Problem(
    "shard-unavailable",
    503,
    "A part of the ledger can't be reached",
    "`detail` names the shard. Nothing is answered that would lack its numbers; what other shards alone have is.",
)
OTHER_TIME_ZONE = Problem(
    "other-time-zone",
    503,
    "The reports are not made for these days yet",
    "They count the days of another time zone than the service is set to. The operator runs `manage.py "
    "rebuild_reports`, or sets REPORT_TIME_ZONE back.",
)
OVERLOADED = Problem("overloaded", 503, "Too many requests wait", "Try again after Retry-After.")
SHUTTING_DOWN = Problem(
    "shutting-down", 503, "This process is shutting down", "Try again: another process will answer."
)
NOT_READY = Problem(
    "not-ready",
    503,
    "This process is not ready",
    "Ask another one; `errors` names what this one lacks, and what to do about it.",
)
ISSUING_REFUSED = Problem(
    "issuing-refused",
    503,
    "Issuing has stopped until somebody has looked",
    "The operator finds the reason and the command that resolves it in the log.",
)
RESTORED_DATABASE = Problem(
    "restored-database",
    503,
    "The database is older than the numbers that were issued",
    "Issuing again could repeat a number or contradict the log. The operator finds what to do in the service's log.",
)

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Problem))


def encode(
    problem: Problem, *, instance: str, request_id: str, detail: str | None = None, errors: Sequence[Detail] = ()
) -> bytes:
    """The document as JSON; ``instance`` is the path without its query, which could hold a customer's name."""
    return msgspec.json.encode(
        Document(
            problem.type, problem.title, problem.status, detail or problem.advice, instance, request_id, tuple(errors)
        )
    )


def respond(
    request: HttpRequest, problem: Problem, detail: str | None = None, errors: Sequence[Detail] = ()
) -> HttpResponse:
    """The same as a Django response, with the headers that go with the problem."""
    identity = id_of(request)
    instance = escape_uri_path(request.path)
    body = encode(problem, instance=instance, request_id=identity, detail=detail, errors=errors)
    headers = problem.headers | {"X-Request-ID": identity, "Cache-Control": "no-store"}
    return HttpResponse(body, status=problem.status, content_type=CONTENT_TYPE, headers=headers)


class ProblemError(Exception):
    """Raised in a view, it becomes the problem document."""

    def __init__(
        self,
        problem: Problem,
        detail: str | None = None,
        errors: Sequence[Detail] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or problem.title)
        self.problem = problem
        self.sentence = detail
        self.errors = errors
        self.headers = dict(headers or {})  # beside the problem's own


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    del exception  # it quotes the request
    return respond(request, BAD_REQUEST)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's answer to a form that another site sent."""
    del reason
    return respond(request, UNINTENDED)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    del exception
    return respond(request, NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500; Django has logged the traceback."""
    return respond(request, INTERNAL)
