"""The headers that go with a problem, in the OpenAPI document as in core.problems."""

from http import HTTPStatus
from typing import Any, Final

from core import problems
from core.problems import Problem

_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-ID": {"schema": {"type": "string", "format": "uuid"}, "description": "The request's id."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."},
    "WWW-Authenticate": {"schema": {"const": "Bearer", "type": "string"}, "description": "How to present a key."},
    "Allow": {"schema": {"type": "string"}, "description": "The methods that are allowed."},
}
_WORKED_OUT: Final[dict[int, tuple[str, ...]]] = {
    HTTPStatus.METHOD_NOT_ALLOWED: ("Allow",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
}
"""What is not the same for each answer with a problem of that status."""
_KINDS = {kind.type: kind for kind in problems.ALL}


def add_problem_headers(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """drf-spectacular's hook: give each problem response the headers of the problems that it shows."""
    for methods in result["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                shown = response.get("content", {}).get(problems.CONTENT_TYPE, {}).get("examples", {})
                kinds = [_KINDS[example["value"]["type"]] for example in shown.values()]
                if kinds:
                    response["headers"] = _headers(kinds) | response.get("headers", {})
    return result


def _headers(kinds: list[Problem]) -> dict[str, dict[str, Any]]:
    """What any of the problems has; required is what all of them have."""
    names = [_names(kind) for kind in kinds]
    return {
        name: header | ({"required": True} if all(name in each for each in names) else {})
        for name, header in _HEADERS.items()
        if any(name in each for each in names)
    }


def _names(kind: Problem) -> set[str]:
    return {"X-Request-ID", *kind.headers, *_WORKED_OUT.get(kind.status, ())}
