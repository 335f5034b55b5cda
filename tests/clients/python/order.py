"""A client that has a key, and an order; tracking_client is made of the schema beside this file."""

import os
import time
from datetime import datetime
from typing import Final, TypedDict
from uuid import UUID

from tracking_client import AuthenticatedClient
from tracking_client.api.issuing import next_tracking_number
from tracking_client.api.log import proof
from tracking_client.models import Issued, Problem
from tracking_client.types import UNSET, Unset


class Order(TypedDict):
    """What a number is issued for."""

    origin_country_id: str
    destination_country_id: str
    weight: str
    created_at: datetime
    customer_id: UUID
    customer_name: str
    customer_slug: str


ORDER: Final = Order(
    origin_country_id="MY",
    destination_country_id="ID",
    weight="1.234",
    created_at=datetime.fromisoformat("2018-11-20T19:29:32+08:00"),
    customer_id=UUID("de619854-b59b-425e-9db4-943979e1bd49"),
    customer_name="RedBox Logistics",
    customer_slug="redbox-logistics",
)


def connect() -> AuthenticatedClient:
    """The client; a status that the schema doesn't know is an error."""
    return AuthenticatedClient(os.environ["BASE_URL"], os.environ["API_KEY"], raise_on_unexpected_status=True)


def issue(client: AuthenticatedClient, order: Order = ORDER, key: str | Unset = UNSET) -> Issued:
    """Issue a number."""
    issued = next_tracking_number.sync(client=client, idempotency_key=key, **order)
    if isinstance(issued, Problem) or issued is None:
        raise SystemExit(f"No number: {issued}")
    return issued


def proof_of(client: AuthenticatedClient, number: str) -> str:
    """The proof of a number, once the log has taken it up."""
    while True:
        answer = proof.sync_detailed(number, client=client)
        if isinstance(answer.parsed, str):
            return answer.parsed
        if answer.parsed is None or answer.parsed.type_ != "/problems/not-yet-sealed":
            raise SystemExit(f"No proof: {answer.parsed}")
        time.sleep(int(answer.headers["Retry-After"]))
