"""What a log line may hold of a request: its path, and of that no customer and no query."""

import logging

import pytest

from core.logs import PathsOnly
from tests.support.clients.orders import GOOD

ID = GOOD["customer_id"]
KEY = f"tna_1_{'5e' * 16}_{ID.replace('-', '')}"


def line(logger: str, message: str, *arguments: object) -> str:
    """The line that a record becomes."""
    record = logging.LogRecord(logger, logging.WARNING, __file__, 1, message, arguments, None)
    assert PathsOnly().filter(record)
    return record.getMessage()


PATHS = {
    "/v1/tracking-numbers/5GPZWDRK4CKMYIDH/proof": "/v1/tracking-numbers/5GPZWDRK4CKMYIDH/proof",
    "/tile/entries/x001/234": "/tile/entries/x001/234",
    f"/v1/customers/{ID}/stats": "/v1/customers/*/stats",
    f"/v1/customers/{ID.upper()}/stats": "/v1/customers/*/stats",
    f"/v1/customers/{ID.replace('-', '')}/stats": "/v1/customers/*/stats",
    "/v1/customers/redbox-logistics/stats": "/v1/customers/*/stats",
    "/v1/customers/RedBox Logistics/stats": "/v1/customers/*/stats",
    "/v1/customers/RedBox/Logistics/stats": "/v1/customers/*/stats",
    "/v1/customers/RedBox\\nLogistics/stats": "/v1/customers/*/stats",
    f"/v1/customers/{ID}": "/v1/customers/*",
    f"/v1/customers/{ID}/": "/v1/customers/*",
    "/v1/customers/": "/v1/customers/",
    f"/v1/customers//{ID}/stats": "/v1/customers/*/stats",
    f"/V1/Customers/{ID}/stats": "/V1/Customers/*/stats",
    f"/v1/customer/{ID}/stats": "/v1/customer/*/stats",
    f"/v1/tracking-numbers/{ID}": "/v1/tracking-numbers/*",
    f"/v1/tracking-numbers/{KEY}/proof": "/v1/tracking-numbers/tna_1_*_*/proof",
    f"/{ID}?customer_name=RedBox Logistics": "/*",
}


@pytest.mark.parametrize("path", PATHS)
def test_a_refused_request_is_logged_by_its_path_without_the_customer(path: str) -> None:
    assert line("django.request", "%s: %s", "Not Found", path) == f"Not Found: {PATHS[path]}"
    assert line("django.security.csrf", "Forbidden (%s): %s", "why", path) == f"Forbidden (why): {PATHS[path]}"


REQUESTS = {
    "GET /livez HTTP/1.1": "GET /livez HTTP/1.1",
    f"GET /next-tracking-number?customer_id={ID}&weight=1 HTTP/1.1": "GET /next-tracking-number HTTP/1.1",
    "GET /next-tracking-number?customer_name=Red Box HTTP/1.1": "GET /next-tracking-number HTTP/1.1",
    "GET /next-tracking-number?customer_name=Red Box": "GET /next-tracking-number",
    "GET /next-tracking-number%3Fcustomer_name=Red%20Box HTTP/1.1": "GET /next-tracking-number HTTP/1.1",
    f"GET /v1/customers/{ID}/stats?by=day HTTP/1.1": "GET /v1/customers/*/stats HTTP/1.1",
    "GET /v1/customers/RedBox%20Logistics/stats HTTP/1.1": "GET /v1/customers/*/stats HTTP/1.1",
    f"GET /v1/custom%65rs/%64{ID[1:]}/stats HTTP/1.1": "GET /v1/customers/*/stats HTTP/1.1",
    f"GET /v1/customers%2F{ID}%0A HTTP/1.1": "GET /v1/customers/* HTTP/1.1",
    "GET /a%0AERROR%20forged: HTTP/1.1": r"GET /a\nERROR forged: HTTP/1.1",
}


@pytest.mark.parametrize("request_line", REQUESTS)
def test_a_request_line_is_logged_without_query_and_customer(request_line: str) -> None:
    logged = line("django.server", '"%s" %s %s', request_line, "404", "12")
    assert logged == f'"{REQUESTS[request_line]}" 404 12'


def test_a_request_line_that_could_not_be_read_is_logged_without_its_query() -> None:
    message = "Bad request syntax ('GET /next-tracking-number?customer_name=Red Box HTTP/1.1')"
    logged = line("django.server", "code %d, message %s", 400, message)
    assert logged == "code 400, message Bad request syntax ('GET /next-tracking-number HTTP/1.1')"


def test_what_is_not_about_a_request_stays_as_it_is() -> None:
    identity = "019376f3-3c1e-7cc0-b5a1-6d0f7c0b1f52"
    assert line("issuance.writer", "%s: %d%% of %s", identity, 5, None) == f"{identity}: 5% of None"
    assert line("ledger.sealer", "Sealing goes on.") == "Sealing goes on."
    assert line("any", "%(a)s", {"a": 1}) == "1"
