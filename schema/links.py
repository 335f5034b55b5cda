"""How operations follow one from another: OpenAPI links, which documentation shows and stateful tests walk."""

from typing import Any, Final, NamedTuple


class Link(NamedTuple):
    """Where to go on from an answer, and with what of it.

    Attributes:
        name: of the link.
        target: method and path.
        parameters: of the target, as runtime expressions (OpenAPI 3.1, section 4.8.20.4).
    """

    name: str
    target: str
    parameters: dict[str, str]


def _of_number(expression: str) -> tuple[Link, ...]:
    """What there is to ask about a number."""
    number = "/v1/tracking-numbers/{number}"
    targets = {
        "event": number,
        "proof": f"{number}/proof",
        "barcode_svg": f"{number}/barcode.svg",
        "barcode_png": f"{number}/barcode.png",
        "validation": "/v1/validate/{number}",
    }
    return tuple(Link(name, f"GET {path}", {"number": expression}) for name, path in targets.items())


LINKS: Final[dict[str, tuple[Link, ...]]] = {
    "GET /next-tracking-number": (
        *_of_number("$response.body#/tracking_number"),
        Link("stats", "GET /v1/customers/{customer_id}/stats", {"customer_id": "$request.query.customer_id"}),
    ),
    "POST /v1/tracking-numbers": _of_number("$response.body#/0/tracking_number"),
    "GET /v1/tracking-numbers": _of_number("$response.body#/results/0/tracking_number"),
    "GET /v1/tracking-numbers/{number}": _of_number("$response.body#/tracking_number")[1:],
}
"""By the operation whose success they lead on from.

The daily reports have none: they need nothing, so schemathesis would begin each of its walks with them.
"""


def add_links(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """drf-spectacular's hook: write the links whose both ends there are."""
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in result["paths"].items()
        for method, operation in methods.items()
    }
    for source, links in LINKS.items():
        if source in operations:
            success(operations[source])["links"] = {
                link.name: {"operationId": operations[link.target]["operationId"], "parameters": link.parameters}
                for link in links
                if link.target in operations
            }
    return result


def success(operation: dict[str, Any]) -> dict[str, Any]:
    """The response of an operation that did what it should; each has one."""
    (found,) = (response for status, response in operation["responses"].items() if status.startswith("2"))
    response: dict[str, Any] = found
    return response
