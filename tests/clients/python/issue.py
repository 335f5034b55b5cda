"""Issue a number, and read what the log has of it."""

from order import ORDER, connect, issue, proof_of
from tracking_client.api.log import checkpoint, tile
from tracking_client.models import Problem

with connect() as client:
    issued = issue(client, key="python-1")
    assert issued.origin_country_id == ORDER["origin_country_id"]
    assert issued.created_at.utcoffset() is not None, "a moment, not a string"
    assert issued.links.proof == f"/v1/tracking-numbers/{issued.tracking_number}/proof"
    assert issue(client, key="python-1") == issued, "a retry gets the same number"

    text = proof_of(client, issued.tracking_number)
    assert text.startswith("c2sp.org/tlog-proof@v1\n")
    note = checkpoint.sync(client=client)
    assert isinstance(note, str)
    assert note.split("\n")[0] == text.split("\n\n")[1].split("\n")[0]
    first = tile.sync("0/000.p/1", client=client)
    assert first is not None
    assert not isinstance(first, Problem)
    assert len(first.payload.read()) == 32
