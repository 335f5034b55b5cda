"""Every error is a problem document, and its type is what a program goes by."""

from order import ORDER, Order, connect
from tracking_client.api.issuing import next_tracking_number
from tracking_client.api.log import proof
from tracking_client.models import Problem


def described(problem: Problem) -> list[tuple[str, str]]:
    """What is wrong, by parameter."""
    return [(flaw.parameter, flaw.code) for flaw in problem.errors or []]


with connect() as client:
    wrong: Order = {**ORDER, "weight": "0", "customer_slug": "RedBox"}
    refused = next_tracking_number.sync(client=client, **wrong)
    assert isinstance(refused, Problem)
    assert (refused.type_, refused.status) == ("/problems/invalid-parameters", 400)
    assert described(refused) == [("weight", "range"), ("customer_slug", "format")]

    unknown = proof.sync("3K9M7QX2PZ4MYIDT", client=client)
    assert isinstance(unknown, Problem)
    assert (unknown.type_, unknown.status) == ("/problems/unknown-number", 404)
    assert not described(unknown)
