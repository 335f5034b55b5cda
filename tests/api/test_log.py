"""Checkpoint and tiles over HTTP: what the answers' leaf hashes give, as far as it is published, and no further."""

import httpx
import pytest

from ledger.domain import merkle, note, tiles
from ledger.domain.note import SignerKey
from ledger.domain.tiles import Tile
from tests.plugin import LEDGER_KEY, Database
from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask, problem
from tests.support.log import history as histories
from tests.support.log.history import TILE, History
from tests.support.processes.sealers import state

SHARES = True

KEY = SignerKey.parse(LEDGER_KEY).verifier
IMMUTABLE = {"public", "max-age=31536000", "immutable"}
SHORT_LIVED = {"public", "max-age=1"}


def cache(response: httpx.Response) -> set[str]:
    return set(response.headers["cache-control"].split(", "))


def bytes_of(history: History, tile: Tile) -> bytes:
    """A tile as the leaf hashes give it."""
    step = TILE**tile.level
    begin = tile.position * TILE * step
    return b"".join(
        histories.root(history.leaves[start : start + step]) for start in range(begin, begin + tile.width * step, step)
    )


def test_the_checkpoint_is_signed_and_says_size_and_root_of_what_is_published(port: int, history: History) -> None:
    response = ask(port, "/checkpoint")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert cache(response) == SHORT_LIVED
    checkpoint, _ = note.read(response.content.decode(), KEY)
    assert checkpoint == (KEY.name, history.published, histories.root(history.leaves[: history.published]))


@pytest.mark.parametrize("path", ["/checkpoint", "/tile/0/000", "/tile/0/002.p/9", "/tile/1/000.p/2"])
def test_what_a_reader_has_is_not_sent_again(port: int, history: History, path: str) -> None:
    assert history.published
    first = ask(port, path)
    etag = first.headers["etag"]
    again = ask(port, path, If_None_Match=f'"other", {etag}')
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], cache(again)) == (etag, cache(first))
    assert ask(port, path, If_None_Match='"other"').content == first.content
    assert ask(port, path, If_None_Match=f"W/{etag}").status_code == 304, "a proxy that compresses weakens it"


@pytest.mark.parametrize("path", ["/checkpoint", "/tile/0/000", "/tile/1/000.p/1"])
def test_head_gives_the_headers_alone(port: int, history: History, path: str) -> None:
    assert history.published
    body, head = ask(port, path), ask(port, path, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "cache-control", "content-type"):
        assert head.headers[name] == body.headers[name]
    assert ask(port, path, "HEAD", If_None_Match=body.headers["etag"]).status_code == 304


def test_full_tiles_are_the_hashes_of_their_leaves_and_are_kept_for_ever(port: int, history: History) -> None:
    for position in (0, 1):
        response = ask(port, f"/tile/0/00{position}")
        assert response.content == bytes_of(history, Tile(0, position))
        assert len(response.content) == 8192
        assert response.headers["content-type"] == "application/octet-stream"
        assert cache(response) == IMMUTABLE


def test_partial_tiles_are_served_at_every_width_up_to_the_published_size(lane_port: int, history: History) -> None:
    for width in range(1, history.published - 2 * TILE + 1):
        tile = Tile(0, 2, width)
        response = ask(lane_port, f"/tile/{tile.path}")
        assert (response.status_code, response.content) == (200, bytes_of(history, tile)), tile
        assert cache(response) == SHORT_LIVED


@pytest.mark.parametrize("width", [1, 2, 128, 255])
def test_partial_forms_of_a_full_tile_are_served_too(port: int, history: History, width: int) -> None:
    response = ask(port, f"/tile/0/001.p/{width}")
    assert (response.status_code, response.content) == (200, bytes_of(history, Tile(0, 1, width)))
    assert cache(response) == SHORT_LIVED


def test_a_level_1_tile_has_the_roots_of_full_level_0_tiles(port: int, history: History) -> None:
    for width in (1, 2):
        response = ask(port, f"/tile/1/000.p/{width}")
        assert (response.status_code, response.content) == (200, bytes_of(history, Tile(1, 0, width)))


def test_what_is_committed_and_not_published_is_not_served(port: int, history: History, database: Database) -> None:
    committed = state(database)
    assert committed["size"] == len(history.numbers) > committed["published_size"] == history.published
    width = history.published - 2 * TILE
    for path in (f"0/002.p/{width + 1}", "0/002.p/255", "0/002", "0/003.p/1", "1/000.p/3", "entries/002"):
        expected = (401, "unauthorized") if path.startswith("entries") else (404, "beyond-the-tree")
        assert problem(ask(port, f"/tile/{path}")) == expected, path


@pytest.mark.parametrize(
    "path", ["0/x001/000", "0/x999/x999/x999/x999/x999/x999/999", "1/000", "1/001.p/1", "2/000.p/1", "63/000"]
)
def test_a_tile_far_beyond_the_tree_is_not_found(port: int, history: History, path: str) -> None:
    assert history.published
    assert problem(ask(port, f"/tile/{path}")) == (404, "beyond-the-tree")


MALFORMED = f"""
    0 0/ 0/0 0/00 0/0000 0/x000/000 0/001/067 0/x001 0/X001/000 0/000/ 0//000 /0/000 0/000%20 %200/000 0/000%00
    0/000.p 0/000.p/ 0/000.p/0 0/000.p/01 0/000.p/256 0/000.p/-1 0/000.p/1/ 0/000.p/1.p/1 0/%EF%BC%90%EF%BC%90%EF%BC%90
    00/000 01/000 64/000 100/000 -1/000 +1/000 x/000 data/000 Entries/000 %FF/000 entries entries/0 entries/000.p/0
    0/{"x001/" * 12}001"""


@pytest.mark.parametrize("path", MALFORMED.split())
def test_what_names_no_tile_is_a_malformed_path(port: int, auditor: str, path: str) -> None:
    assert problem(ask(port, f"/tile/{path}", **bearer(auditor))) == (400, "malformed-tile-path")


def test_two_instances_give_the_same_bytes(lane_port: int, wsgi_port: int, history: History) -> None:
    width = history.published - 2 * TILE
    number = history.numbers[300]
    for path in (
        *("/checkpoint", "/tile/0/000", "/tile/0/001", f"/tile/0/002.p/{width}", "/tile/1/000.p/2"),
        f"/v1/tracking-numbers/{number}/proof",
    ):
        one, other = ask(lane_port, path), ask(wsgi_port, path)
        assert (one.status_code, one.content) == (200, other.content)
        for name in ("etag", "cache-control", "content-type", "x-content-type-options"):
            assert one.headers[name] == other.headers[name], (path, name)


def test_a_reader_of_tiles_can_prove_that_the_log_only_grew(port: int, history: History) -> None:
    """From the halves of the tree to all of it, by RFC 6962, section 2.1.2, with nothing but what is served."""
    size = history.published
    for old in (1, 255, 256, 257, 512, size // 2, size - 1):
        path = merkle.consistency_path(old, size)
        fetched = {tile.place: ask(port, f"/tile/{tile.path}").content for tile in tiles.needed(path, size)}
        roots = [histories.root(history.leaves[:end]) for end in (old, size)]
        merkle.verify_consistency(old, size, roots[0], roots[1], tiles.hashes(path, fetched))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/checkpoint", "/tile/0/000", "/tile/entries/000", "/v1/tracking-numbers/3K9M7QX2PZ4MYIDT/proof"]
)
def test_the_log_is_only_read(port: int, path: str, method: str) -> None:
    response = ask(port, path, method)
    assert problem(response) == (405, "method-not-allowed")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    options = ask(port, path, "OPTIONS")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
