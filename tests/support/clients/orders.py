"""A good order, and queries that differ from it in what a test says."""

from urllib.parse import quote_plus

from tests.logs import LOGS

GOOD = {
    "origin_country_id": "MY",
    "destination_country_id": "ID",
    "weight": "1.234",
    "created_at": "2018-11-20T19:29:32+08:00",
    "customer_id": "de619854-b59b-425e-9db4-943979e1bd49",
    "customer_name": "RedBox Logistics",
    "customer_slug": "redbox-logistics",
}
PATH = "/next-tracking-number"
LOGS.know(GOOD["customer_id"])


def query(**changes: str | bytes | None) -> bytes:
    """A query string; a str is percent-encoded, bytes go in as they are, None leaves the parameter out."""
    merged: dict[str, str | bytes | None] = {**GOOD, **changes}
    if isinstance(customer := merged["customer_id"], str):
        LOGS.know(customer)
    return b"&".join(
        name.encode() + b"=" + (value if isinstance(value, bytes) else quote_plus(value).encode())
        for name, value in merged.items()
        if value is not None
    )
