"""What every fence promises, in a file, in Valkey and in a bucket; and what the last two do when they are away."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from core.bucket import Timing
from core.env import load
from issuance import configured, fence_bucket, fence_redis
from issuance.domain.errors import FenceError, UnavailableError
from issuance.fence import Fence, FileFence, Mark
from tests.plugin import ROOT
from tests.support.servers.fence_valkey import SafeValkey, safe_valkey
from tests.support.servers.object_store import BUCKET, Fault, Request, Store, store

KINDS = ("a file", "valkey", "a bucket")
AWAY = KINDS[1:]
START = Mark("0198c0de-0000-7000-8000-000000000001", 0, "ab" * 8, -1)


def at(block: int) -> Mark:
    """The same allocator's mark at a block."""
    return msgspec.structs.replace(START, highest_block=block)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer may take as long as a busy machine takes for it; one that was lost is told from it all the same."""
    monkeypatch.setattr(fence_bucket, "_TIMING", Timing(connect=30.0, read=30.0, patience=1.0))
    monkeypatch.setattr(fence_redis, "_CONNECT", 30.0)
    monkeypatch.setattr(fence_redis, "_ANSWER", 60.0)
    monkeypatch.setattr(fence_redis, "_DISK", 30_000)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Store]:
    """A store."""
    with store() as made:
        yield made


@pytest.fixture(scope="module")
def valkey() -> Iterator[SafeValkey]:
    """A Valkey."""
    with safe_valkey() as made:
        yield made


class Kind:
    """A kind of fence: how one is opened, and how the place behind it is treated."""

    def __init__(self, name: str, path: Path, valkey: SafeValkey, bucket: Store) -> None:
        self.path, self.valkey, self.bucket = path, valkey, bucket
        self.name = name
        self.key = f"fences/{path.parent.name}"
        valkey.command("FLUSHALL")
        bucket.back()
        bucket.client.delete_object(Bucket=BUCKET, Key=self.key)

    def open(self) -> Fence:
        """A fence as another process would see it."""
        place = {"a file": str(self.path), "valkey": self.valkey.url, "a bucket": f"s3://{BUCKET}/{self.key}"}
        return configured.fence(load({"FENCE": place[self.name], **self.bucket.settings}))

    def put(self, content: bytes) -> None:
        """Write over it, past all rules."""
        self.path.write_bytes(content)
        self.valkey.command("SET", "tracking:fence:0", content.decode())
        self.bucket.client.put_object(Bucket=BUCKET, Key=self.key, Body=content)

    def lose_an_answer(self) -> None:
        """Have the next write done, and its answer lost."""
        self.valkey.lost = 1
        self.bucket.once(Fault.LOST, name=self.key)

    def cut(self) -> None:
        """Take it away."""
        self.valkey.up = False
        self.bucket.away()

    def mend(self) -> None:
        """Bring it back."""
        self.valkey.up = True
        self.bucket.back()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path, valkey: SafeValkey, bucket: Store) -> Iterator[Kind]:
    """Each of them, empty."""
    made = Kind(request.param, tmp_path / "fence", valkey, bucket)
    yield made
    made.mend()


away = pytest.mark.parametrize("kind", AWAY, indirect=True)


def test_a_fence_is_made_once_and_goes_forward_only(kind: Kind) -> None:
    fence = kind.open()
    assert fence.read() is None
    fence.create(START)
    with pytest.raises(FenceError, match="exists already"):
        kind.open().create(START)
    assert kind.open().read() == START
    fence.advance(at(7), 0)
    kind.open().advance(at(12), 8)
    assert fence.read() == at(12)
    for first in (12, 8, 0):
        with pytest.raises(FenceError, match=f"stands at block 12, so block {first} was leased before"):
            fence.advance(at(20), first)
    assert fence.read() == at(12)


def test_a_fence_of_another_database_is_not_moved(kind: Kind) -> None:
    kind.open().create(START)
    for other in (
        msgspec.structs.replace(at(5), allocator="0198c0de-0000-7000-8000-000000000002"),
        msgspec.structs.replace(at(5), key_fingerprint="cd" * 8),
    ):
        with pytest.raises(FenceError, match="belongs to another database"):
            kind.open().advance(other, 0)
    assert kind.open().read() == START


def test_a_fence_that_is_gone_is_not_made_anew_by_a_lease(kind: Kind) -> None:
    with pytest.raises(FenceError, match=r"is gone\. Put it back from a copy"):
        kind.open().advance(at(5), 0)
    assert kind.open().read() is None


def test_a_damaged_fence_is_said(kind: Kind) -> None:
    kind.put(b'{"allocator": "0198')
    with pytest.raises(FenceError, match="can't be read"):
        kind.open().read()
    with pytest.raises(FenceError, match="can't be read"):
        kind.open().advance(at(5), 0)


def test_of_copies_of_a_database_that_lease_the_same_blocks_at_once_one_wins(kind: Kind) -> None:
    kind.open().create(START)
    begin, won, lost = threading.Barrier(4), [], []

    def lease() -> None:
        fence = kind.open()
        begin.wait()
        try:
            fence.advance(at(3), 0)
        except FenceError as error:
            lost.append(str(error))
        else:
            won.append(fence)

    threads = [threading.Thread(target=lease) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(won) == 1
    assert len(lost) == 3
    assert all("block 0 was leased before" in each for each in lost), lost


@away
def test_an_answer_that_was_lost_is_no_false_alarm(kind: Kind) -> None:
    fence = kind.open()
    kind.lose_an_answer()
    fence.create(START)
    kind.lose_an_answer()
    fence.advance(at(3), 0)
    assert fence.read() == at(3)
    assert kind.valkey.lost == 0 or kind.name != "valkey"


@away
def test_a_fence_that_is_away_is_tried_again_and_not_taken_for_a_restored_database(kind: Kind) -> None:
    fence = kind.open()
    fence.create(START)
    kind.cut()
    for attempt in (fence.read, lambda: fence.advance(at(3), 0)):
        with pytest.raises(UnavailableError):
            attempt()
    kind.mend()
    fence.advance(at(3), 0)
    assert fence.read() == at(3)


def test_a_write_that_reaches_the_store_after_it_was_given_up_does_no_harm(
    valkey: SafeValkey, bucket: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Kind("a bucket", Path("late/fence"), valkey, bucket)
    fence = kind.open()
    fence.create(START)
    monkeypatch.setattr(fence_bucket, "_TIMING", Timing(connect=0.5, read=0.5, patience=1.0))
    impatient = kind.open()
    puts: list[str] = []

    def late(request: Request) -> Fault | None:
        if request.method == "PUT" and request.path.endswith(kind.key) and not puts:
            puts.append("late")
            return Fault.LATE
        return Fault.REFUSED if puts else None

    bucket.fault = late
    with pytest.raises(UnavailableError):
        impatient.advance(at(3), 0)
    bucket.back()
    # Whether it came before this one or after it: its blocks were never used.
    fence.advance(at(9), 4)
    assert fence.read() == at(9)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("appendonly", "no", "could be lost in a crash: appendonly is no there"),
        ("appendfsync", "everysec", "could be lost in a crash: appendfsync is everysec there"),
        ("maxmemory-policy", "allkeys-lru", "could be evicted: maxmemory-policy is allkeys-lru"),
    ],
)
def test_a_redis_that_could_forget_is_refused_even_if_it_has_only_become_so(
    valkey: SafeValkey, name: str, value: str, sentence: str
) -> None:
    valkey.command("FLUSHALL")
    fence = configured.fence(load({"FENCE": valkey.url}))
    before = valkey.setting(name)
    fence.create(START)
    valkey.configure(name, value)
    try:
        with pytest.raises(FenceError, match=sentence):
            fence.advance(at(3), 0)
        assert fence.read() == START
    finally:
        valkey.configure(name, before)
    fence.advance(at(3), 0)


def test_a_mark_is_on_the_disk_though_valkey_has_begun_to_keep_things_only_now(valkey: SafeValkey) -> None:
    """It says `appendonly yes` as soon as it is told to, and writes nothing before it has written all it had."""
    valkey.command("FLUSHALL")
    fence = configured.fence(load({"FENCE": valkey.url}))
    fence.create(START)
    valkey.command("CONFIG", "SET", "appendonly", "no")
    valkey.command("CONFIG", "SET", "appendonly", "yes")
    block = 0
    while True:
        try:
            fence.advance(at(block + 4), block)
        except UnavailableError:
            block += 5
        else:
            break
    valkey.kill()
    valkey.start()
    assert fence.read() == at(block + 4)


def test_a_mark_that_was_answered_survives_kill_9_of_valkey(valkey: SafeValkey) -> None:
    valkey.command("FLUSHALL")
    fence = configured.fence(load({"FENCE": valkey.url}))
    fence.create(START)
    for block in range(0, 50, 5):
        fence.advance(at(block + 4), block)
    valkey.kill()
    with pytest.raises(UnavailableError):
        fence.read()
    valkey.start()
    assert fence.read() == at(49)
    fence.advance(at(60), 50)


def test_shards_have_fences_of_their_own_in_one_redis(valkey: SafeValkey) -> None:
    valkey.command("FLUSHALL")
    for shard in (0, 3):
        fence = configured.fence(load({"FENCE": valkey.url, "SHARD": str(shard)}))
        fence.create(msgspec.structs.replace(START, shard=shard))
    assert sorted(valkey.command("KEYS", "*")) == [b"tracking:fence:0", b"tracking:fence:3"]  # type: ignore[call-overload]  # a list


def test_a_login_that_may_not_look_or_has_the_wrong_password_is_told_so_and_no_message_has_it(
    valkey: SafeValkey,
) -> None:
    valkey.command("FLUSHALL")
    valkey.command("ACL", "SETUSER", "blind", "on", ">hunter2", "~*", "+@all", "-config")
    for password, sentence in (("hunter2", "Allow its login CONFIG GET"), ("hunter3", "Correct FENCE")):
        fence = configured.fence(load({"FENCE": valkey.url.replace("//", f"//blind:{password}@")}))
        with pytest.raises(FenceError, match=sentence) as refused:
            fence.create(START)
        assert "hunter" not in str(refused.value)


@pytest.mark.parametrize(("fault", "value"), [("conditional", False), ("creates", True)])
def test_a_store_that_does_not_heed_all_conditions_is_refused(
    bucket: Store, monkeypatch: pytest.MonkeyPatch, fault: str, value: object
) -> None:
    fence = configured.fence(load({"FENCE": f"s3://{BUCKET}/{fault}/fence", **bucket.settings}))
    with monkeypatch.context() as broken:
        broken.setattr(bucket, fault, value)
        with pytest.raises(FenceError, match=r"has no conditional writes .* FENCE may be redis://"):
            fence.create(START)
    assert bucket.objects(f"{fault}/") == {}, "what was tried out is removed"
    fence.create(START)


def test_a_fence_in_a_bucket_that_is_not_there_is_said(bucket: Store) -> None:
    fence = configured.fence(load({"FENCE": "s3://nowhere/fence", **bucket.settings}))
    with pytest.raises(FenceError, match="404 NoSuchBucket"):
        fence.read()


IMPORTED = """
import sys
import django
django.setup()
from core.env import load
from issuance import configured
from ledger import runtime as ledger
env = load({"FENCE": "/tmp/fence", "PUBLICATION": "/tmp/published"})
configured.fence(env), ledger.place(env)
print(*[name for name in ("boto3", "redis") if name in sys.modules])
"""


def test_whoever_keeps_it_all_in_files_does_not_pay_for_the_rest() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], check=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_a_file_of_before_there_was_a_nonce_is_read(tmp_path: Path) -> None:
    (tmp_path / "fence").write_bytes(msgspec.json.encode(at(4)))
    fence = FileFence(tmp_path / "fence")
    fence.advance(at(6), 5)
    assert fence.read() == at(6)
