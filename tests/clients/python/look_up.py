"""Look up a number that was just issued: None is a value that the types make one think of."""

from order import connect, issue
from tracking_client.api.numbers import look_up
from tracking_client.models import Problem

with connect() as client:
    issued = issue(client)
    found = look_up.sync(issued.tracking_number, client=client)
    assert found is not None
    assert not isinstance(found, Problem)
    assert found.tracking_number == issued.tracking_number
    assert found.leaf_hash == issued.leaf_hash
    place: int | None = found.leaf_index
    always: int = found.leaf_index  # type: ignore[assignment]  # an unsealed number has no place yet
    assert place == always
    assert isinstance(found.principal, int)

    unknown = look_up.sync("3K9M7QX2PZ4MYIDT", client=client)
    assert isinstance(unknown, Problem)
    assert unknown.type_ == "/problems/unknown-number"
