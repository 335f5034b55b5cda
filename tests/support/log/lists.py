"""Lists as a client reads them, and what they must say: the log's leaves, as its entry bundles have them."""

import json
import threading
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode

from issuance.domain.number import Numbering
from ledger.domain import bundle, merkle, weight
from ledger.domain.tiles import ENTRIES, WIDTH, Tile
from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask
from tests.support.log.history import issue
from tests.support.processes.secret_keys import NUMBER_KEY

PATH = "/v1/tracking-numbers"
NUMBERING = Numbering(bytes.fromhex(NUMBER_KEY))
"""The tests' own (tests.plugin)."""

type Row = dict[str, Any]


class Listed(NamedTuple):
    """A whole list: all pages after each other, and the size that each of them named."""

    rows: list[Row]
    size: int
    links: list[str]


def path(**query: str | int) -> str:
    """The path of a list."""
    return f"{PATH}?{urlencode(query)}" if query else PATH


def follow(port: int, key: str, first: str, by: str = "next") -> Listed:
    """All pages from one on, by their links, in the order of reading."""
    rows: list[Row] = []
    sizes, links = set[int](), list[str]()
    link: str | None = first
    while link is not None:
        links.append(link)
        answer = ask(port, link, **bearer(key))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        rows += page["results"] if by == "next" else reversed(page["results"])
        sizes.add(page["size"])
        link = page[by]
    (size,) = sizes
    return Listed(rows, size, links)


def leaves(port: int, key: str, size: int) -> list[Row]:
    """The first leaves of the log as a list has them, in leaf order, made of the entries that the log gives."""
    found: list[Row] = []
    for position in range((size + WIDTH - 1) // WIDTH):
        tile = Tile(ENTRIES, position, min(WIDTH, size - position * WIDTH))
        answer = ask(port, f"/tile/{tile.path}", **bearer(key))
        assert answer.status_code == 200, answer.text
        for text in bundle.read(answer.content):
            found.append(_row(text, len(found)))
    return found


def in_order(rows: list[Row]) -> list[Row]:
    """Rows in the order of issue: of the serials that their numbers hide."""
    return sorted(rows, key=lambda row: NUMBERING.decode(row["tracking_number"]).serial)


def numbers(rows: list[Row]) -> list[str]:
    """The numbers of rows."""
    return [row["tracking_number"] for row in rows]


def unsealed(link: str) -> bytes:
    """What the cursor of a link holds."""
    cursor = link.rpartition("cursor=")[2]
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


@contextmanager
def issuing(port: int, count: int) -> Iterator[None]:
    """Issue so many beside what the block does."""
    done = Future[int]()

    def load() -> None:
        try:
            done.set_result(len(issue(port, count)))
        except BaseException as error:  # noqa: BLE001  # it is the test's to see
            done.set_exception(error)

    thread = threading.Thread(target=load)
    thread.start()
    yield
    thread.join()
    assert done.result() == count


def _row(text: bytes, index: int) -> Row:
    entry = json.loads(text)
    number = entry["number"]
    return {
        "tracking_number": number,
        "created_at": entry["requested_at"],
        "order_created_at": entry["order_created_at"],
        "origin_country_id": entry["origin"],
        "destination_country_id": entry["destination"],
        "weight_band": weight.LABELS[entry["weight_band"]],
        "weight_band_code": entry["weight_band"],
        "customer_key_id": entry["customer_key_id"],
        "customer_tag": entry["customer_tag"],
        "principal": entry["principal"],
        "request_id": entry["request_id"],
        "leaf_index": index,
        "leaf_hash": merkle.leaf_hash(text).hex(),
        "links": {"self": f"{PATH}/{number}", "proof": f"{PATH}/{number}/proof"},
    }
