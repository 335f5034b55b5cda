"""List a customer's numbers, page by page."""

from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from order import ORDER, Order, connect, issue, proof_of
from tracking_client.api.numbers import list_tracking_numbers
from tracking_client.models import Problem
from tracking_client.types import UNSET

with connect() as client:
    order: Order = {**ORDER, "customer_id": uuid4()}
    issued = {issue(client, order).tracking_number for _ in range(3)}
    for number in issued:
        proof_of(client, number)  # a list is of what is in the log

    cursor: str | None = None
    pages: list[list[str]] = []
    while cursor is not None or not pages:
        page = list_tracking_numbers.sync(
            client=client, customer_id=order["customer_id"], limit=2, cursor=cursor or UNSET
        )
        assert page is not None
        assert not isinstance(page, Problem)
        pages.append([event.tracking_number for event in page.results])
        cursor = None if page.next_ is None else parse_qs(urlsplit(page.next_).query)["cursor"][0]
    assert [len(numbers) for numbers in pages] == [2, 1]
    assert {number for numbers in pages for number in numbers} == issued
