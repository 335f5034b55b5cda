"""What every publication promises, in a folder and in a bucket; and what becomes of it when the store fails."""

import base64
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.bucket import Timing
from core.env import SettingsError, load
from ledger import publication, publication_bucket, runtime, standby
from ledger.domain.note import SignerKey
from ledger.domain.tiles import WIDTH, Place, Tile
from ledger.publication import CHECKPOINT, WITNESSED, Publication, PublicationAwayError, PublicationError
from tests.support.processes.proc import eventually
from tests.support.servers.object_store import BUCKET, Fault, Request, Store, store

KINDS = ("a folder", "a bucket")
TILE, BUNDLE = publication.tile_name(Tile(0, 0)), publication.entries_name(Tile(0, 0))
GROWING = publication.tile_name(Tile(1, 0, 7))
PATIENT = Timing(connect=30.0, read=30.0, patience=2.0)
"""An answer may take as long as a busy machine takes for it."""
DEAF = Timing(connect=30.0, read=1.0, patience=60.0)
"""An answer that does not come is not waited for, and asked for again however busy the machine is."""
QUICK = Timing(connect=0.5, read=0.5, patience=2.0)
SILENCE = 10.0
"""Seconds without a word after which the server ends a sealer's session (ledger.standby)."""


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> Timing:
    """Be patient; returns how patient it is otherwise."""
    usual = publication_bucket._TIMING
    monkeypatch.setattr(publication_bucket, "_TIMING", PATIENT)
    return usual


@pytest.fixture(scope="module")
def bucket() -> Iterator[Store]:
    """A store."""
    with store() as made:
        yield made


class Kind:
    """A kind of publication."""

    def __init__(self, name: str, path: Path, bucket: Store) -> None:
        self.path, self.bucket = path, bucket
        self.prefix = f"logs/{path.parent.name}/"
        self.address = str(path) if name == "a folder" else f"s3://{BUCKET}/{self.prefix}"
        bucket.back()

    def open(self) -> Publication:
        """It, as another process would see it."""
        return runtime.place(load({"PUBLICATION": self.address, **self.bucket.settings}))

    def objects(self) -> dict[str, bytes]:
        """All that is in it."""
        if self.address.startswith("s3://"):
            return self.bucket.objects(self.prefix)
        files = {str(file.relative_to(self.path)): file for file in self.path.rglob("*") if file.is_file()}
        return {name: file.read_bytes() for name, file in sorted(files.items()) if name != "lock"}

    def unlink(self) -> None:
        """Remove the checkpoint."""
        if self.address.startswith("s3://"):
            self.bucket.client.delete_object(Bucket=BUCKET, Key=self.prefix + CHECKPOINT)
        else:
            (self.path / CHECKPOINT).unlink()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path, bucket: Store) -> Iterator[Kind]:
    """Each of them, empty."""
    made = Kind(request.param, tmp_path / "published", bucket)
    yield made
    bucket.back()


in_a_bucket = pytest.mark.parametrize("kind", ["a bucket"], indirect=True)


def test_what_is_written_is_there_and_nothing_else(kind: Kind) -> None:
    place = kind.open()
    assert place.read_checkpoint() is None
    written = {publication.tile_name(Tile(0, position)): b"%d" % position for position in range(20)}
    place.write(written | {BUNDLE: b"entries"})
    place.write({TILE: b"0"})
    place.replace_checkpoint(None, "first")
    assert kind.objects() == dict(sorted((written | {BUNDLE: b"entries", CHECKPOINT: b"first"}).items()))


def test_a_checkpoint_takes_the_place_of_the_one_that_was_read(kind: Kind) -> None:
    one, other = kind.open(), kind.open()
    one.replace_checkpoint(None, "first")
    one.replace_checkpoint("first", "second")
    assert other.read_checkpoint() == "second"
    other.replace_checkpoint("second", "third")
    assert one.read_checkpoint() == "third"
    kind.open().replace_checkpoint("third", "fourth")
    assert one.read_checkpoint() == "fourth"


def test_the_witnessed_checkpoint_is_replaced_and_leaves_the_newest_alone(kind: Kind) -> None:
    place = kind.open()
    place.replace_checkpoint(None, "newest")
    for text in ("witnessed", "witnessed later"):
        kind.open().write_witnessed(text)
        assert kind.objects() == {CHECKPOINT: b"newest", WITNESSED: text.encode()}
    place.replace_checkpoint("newest", "newer")
    assert kind.objects() == {CHECKPOINT: b"newer", WITNESSED: b"witnessed later"}


@pytest.mark.parametrize("before", [None, "first", "third"])
def test_a_checkpoint_that_somebody_else_moved_stays(kind: Kind, before: str | None) -> None:
    mine, theirs = kind.open(), kind.open()
    mine.replace_checkpoint(None, "first")
    theirs.read_checkpoint()
    theirs.replace_checkpoint("first", "second")
    for place in (mine, kind.open()):
        with pytest.raises(PublicationError, match="was moved by somebody else; start again"):
            place.replace_checkpoint(before, "mine")
    assert kind.objects()[CHECKPOINT] == b"second"


def test_a_checkpoint_that_vanished_is_not_written_anew(kind: Kind) -> None:
    place = kind.open()
    place.replace_checkpoint(None, "first")
    kind.unlink()
    for each in (place, kind.open()):
        with pytest.raises(PublicationError, match="was moved by somebody else"):
            each.replace_checkpoint("first", "second")
    assert kind.open().read_checkpoint() is None


def test_of_sealers_that_move_the_checkpoint_at_once_each_step_is_one_of_theirs(kind: Kind) -> None:
    won: list[int] = []

    def move() -> None:
        place = kind.open()
        for _ in range(8):
            try:
                before = place.read_checkpoint()
                place.replace_checkpoint(before, f"{int(before or 0) + 1}")
                won.append(1)
            except PublicationError:
                pass

    threads = [threading.Thread(target=move) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    # Two that write the same may both call it theirs, in a bucket; none is lost.
    assert 8 <= int(kind.open().read_checkpoint() or 0) <= len(won)


def test_the_partial_forms_of_a_tile_that_is_full_go(kind: Kind) -> None:
    place = kind.open()
    full = {TILE: b"tile", BUNDLE: b"entries", publication.tile_name(Tile(0, 10, 3)): b"another"}
    partial = {publication.tile_name(Tile(0, 0, width)): b"tile" for width in range(240, WIDTH)}
    place.write(full | partial | {publication.entries_name(Tile(0, 0, 255)): b"entries"})
    place.remove_partials(Place(0, 0), None)
    assert kind.objects() == dict(sorted(full.items()))
    place.remove_partials(Place(0, 0), None)


@pytest.mark.parametrize("fault", list(Fault))
@in_a_bucket
def test_one_failure_of_the_store_is_made_good(kind: Kind, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication_bucket, "_TIMING", DEAF)
    place = kind.open()
    place.replace_checkpoint(None, "first")
    kind.bucket.once(fault, name=CHECKPOINT)
    place.replace_checkpoint("first", "second")
    kind.bucket.once(fault, name=TILE)
    place.write({TILE: b"tile", BUNDLE: b"entries"})
    kind.bucket.once(fault, method="GET", name=CHECKPOINT)
    assert kind.open().read_checkpoint() == "second"
    assert kind.objects() == {BUNDLE: b"entries", CHECKPOINT: b"second", TILE: b"tile"}
    place.replace_checkpoint("second", "third")


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.BUSY, Fault.SILENT])
@in_a_bucket
def test_a_store_that_is_away_or_hangs_is_said_before_the_session_ends_and_used_again(
    kind: Kind, usual: Timing, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication_bucket, "_TIMING", QUICK)
    place = kind.open()

    def seconds(attempt: Callable[[], object]) -> float:
        begun = time.monotonic()
        with pytest.raises(PublicationAwayError, match=f"s3://{BUCKET}/"):
            attempt()
        return time.monotonic() - begun

    def done(attempt: Callable[[], object]) -> bool:
        try:
            attempt()
        except PublicationAwayError:
            return False
        return True

    assert eventually(lambda: done(lambda: place.replace_checkpoint(None, "first")))
    many = {publication.tile_name(Tile(0, position)): b"tile" for position in range(20)}
    kind.bucket.fault = lambda _request: fault
    for attempt in (
        place.read_checkpoint,
        lambda: place.write(many),
        lambda: place.replace_checkpoint("first", "second"),
    ):
        # What takes too long takes so each time; a busy machine does not.
        found = [seconds(attempt)]
        while min(found) >= sum(QUICK) + 3.0 and len(found) < 5:
            found.append(seconds(attempt))
        assert min(found) < sum(QUICK) + 3.0, "it goes on where it should have given up"
    assert sum(usual) < SILENCE
    kind.bucket.back()
    assert eventually(lambda: done(lambda: place.replace_checkpoint("first", "second")))
    assert kind.open().read_checkpoint() == "second"


@in_a_bucket
def test_a_checkpoint_that_reaches_the_store_late_does_not_take_the_place_of_a_newer_one(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication_bucket, "_TIMING", DEAF)
    hung = kind.open()
    hung.replace_checkpoint(None, "first")
    # Past the proxy, which waits for it: so it is done before the other one is.
    straight = {"AWS_ENDPOINT_URL_S3": kind.bucket.client.meta.endpoint_url}
    other = runtime.place(load({"PUBLICATION": kind.address, **kind.bucket.settings, **straight}))
    assert other.read_checkpoint() == "first"
    done: list[str] = []

    def late(request: Request) -> Fault | None:
        if request.method == "PUT" and b"late" in request.body:
            if not done:
                done.append("newer")
                other.replace_checkpoint("first", "newer")
                return Fault.LATE
            return Fault.REFUSED
        return None

    kind.bucket.fault = late
    with pytest.raises(PublicationError, match="was moved by somebody else"):
        hung.replace_checkpoint("first", "late")
    assert other.read_checkpoint() == "newer"


@in_a_bucket
def test_the_bucket_may_be_served_as_it_is(kind: Kind) -> None:
    place = kind.open()
    place.write({TILE: b"tile", GROWING: b"partial", BUNDLE: b"entries"})
    place.replace_checkpoint(None, "first")
    kinds = {}
    for name in (TILE, GROWING, CHECKPOINT, BUNDLE):
        head = kind.bucket.client.head_object(Bucket=BUCKET, Key=kind.prefix + name)
        kinds[name] = head["ContentType"], head["CacheControl"]
    assert kinds == {
        TILE: ("application/octet-stream", "public, max-age=31536000, immutable"),
        GROWING: ("application/octet-stream", "public, max-age=1"),
        CHECKPOINT: ("text/plain; charset=utf-8", "public, max-age=1"),
        BUNDLE: ("application/gzip", "no-store"),
    }
    assert {name.partition("/")[0] for name in kind.objects()} == {"public", "private"}
    assert [name for name in kind.objects() if "entries" in name] == [BUNDLE]


@in_a_bucket
def test_the_store_is_told_what_it_must_receive(kind: Kind) -> None:
    """A body that was damaged on its way is not stored."""
    heard: list[Request] = []

    def hear(request: Request) -> None:
        heard.append(request)

    kind.bucket.fault = hear
    kind.open().write({TILE: b"tile"})
    (request,) = heard
    assert request.headers["content-md5"] == base64.b64encode(hashlib.md5(b"tile").digest()).decode()  # noqa: S324  # RFC 1864


@in_a_bucket
def test_a_store_that_ignores_conditions_is_refused_before_anything_is_overwritten(kind: Kind) -> None:
    kind.open().replace_checkpoint(None, "first")
    kind.bucket.conditional = False
    try:
        with pytest.raises(PublicationError, match=r"has no conditional writes .* PUBLICATION a folder"):
            kind.open().replace_checkpoint(None, "second")
    finally:
        kind.bucket.conditional = True
    assert kind.objects() == {CHECKPOINT: b"first"}


@in_a_bucket
def test_what_the_user_s_own_files_say_of_the_store_changes_nothing(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".aws").mkdir()
    for name in ("config", "credentials"):
        (tmp_path / ".aws" / name).write_text("[default]\naws_access_key_id = other\nregion = mars\n[broken")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    heard: list[str] = []
    kind.bucket.fault = lambda request: heard.append(request.headers["authorization"])
    assert kind.open().read_checkpoint() is None
    assert "test-key/" in heard[0]
    assert "/us-east-1/s3/" in heard[0]


def test_keys_that_are_missing_are_said() -> None:
    with pytest.raises(SettingsError, match="needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        runtime.place(load({"PUBLICATION": "s3://tracking/log"}))


@pytest.mark.parametrize(("address", "pace"), [("/tmp/published", 0.25), (f"s3://{BUCKET}/log", 1.0)])  # noqa: S108  # nothing is made there
def test_each_publication_has_a_pace_of_its_own_unless_somebody_sets_it(address: str, pace: float) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert runtime.place(load({"PUBLICATION": address, **keys})).pace == pace
    assert runtime.place(load({"PUBLICATION": address, "PUBLICATION_SECONDS": "0.5", **keys})).pace == 0.5


class Stopped(Exception):  # noqa: N818  # no error: the end of a test's sealer
    """It has slept often enough."""


@pytest.mark.parametrize("pace", [0.25, 1.0])
def test_a_sealer_with_nothing_left_to_do_sleeps_until_its_pace_lets_it_publish_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pace: float
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise Stopped

    monkeypatch.setattr(standby, "time", SimpleNamespace(monotonic=lambda: 7.0, sleep=sleep))
    monkeypatch.setattr(standby, "_is_of_shard", lambda *_: True)
    sealer: Any = SimpleNamespace(tick=lambda: 3, behind=lambda _appended: False)
    connection: Any = None
    key = SignerKey("log.test/tracking", bytes(32))
    work = standby.Work("", key, publication.Folder(tmp_path, pace), 0, allow_unsafe=True)
    with pytest.raises(Stopped):
        standby._seal(sealer, connection, work, None)
    assert slept == [pace] * 3
