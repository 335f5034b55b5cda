"""The answer of the look-up: an event, its leaf byte for byte, its checkpoint, its links."""

import msgspec

from ledger.api.document import EventDocument
from ledger.lookup import Found

_encode = msgspec.json.Encoder().encode


class SealedDocument(msgspec.Struct, frozen=True):
    """The first published checkpoint over the leaf."""

    size: int
    checkpoint: str


class Links(msgspec.Struct, frozen=True):
    """Paths, never built from Host."""

    self: str
    proof: str
    barcode_svg: str
    barcode_png: str
    checkpoint: str


class LookedUp(EventDocument, frozen=True, kw_only=True):
    """All that is known of one number; ``entry`` is the leaf, byte for byte."""

    entry: str
    sealed_in: SealedDocument | None
    links: Links


def encode(found: Found) -> bytes:
    """The answer of the audit look-up; raises as ``EventDocument.of`` does."""
    path = f"/v1/tracking-numbers/{found.event.number}"
    sealed = found.sealed_in
    return _encode(
        LookedUp.of(
            found.event,
            found.leaf_index,
            found.leaf_hash,
            entry=found.entry.decode(),
            sealed_in=None if sealed is None else SealedDocument(sealed.size, sealed.checkpoint),
            links=Links(path, f"{path}/proof", f"{path}/barcode.svg", f"{path}/barcode.png", "/checkpoint"),
        )
    )
