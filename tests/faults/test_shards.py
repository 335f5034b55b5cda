"""Two shards issue side by side; a coordinator reads both, and says what is missing while one is down."""

import asyncio
import csv
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from threading import Thread
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest

from ledger.coordinator import STATEMENT_SECONDS
from ledger.domain import proof
from ledger.domain.note import SignerKey
from ledger.domain.serial import shard_of
from tests.conftest import Length
from tests.support.clients import daily_reports
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask, ask_proof, problem
from tests.support.clients.load import Outcome, load
from tests.support.log.lists import NUMBERING, PATH, follow
from tests.support.processes import shards
from tests.support.processes.clocks import of_one_day
from tests.support.processes.commands import manage as run
from tests.support.processes.proc import eventually, standing_still
from tests.support.processes.sealers import until_published
from tests.support.processes.service import Service, ServiceFactory
from tests.support.processes.shards import Shard, Two

CUSTOMER = "de619854-b59b-425e-9db4-000000000000"
STATS = f"/v1/customers/{CUSTOMER}/stats"


class World(NamedTuple):
    """Everything that runs, and what was answered by each shard before anything happens."""

    two: Two
    each: int
    """How many numbers each shard has issued."""
    issuers: tuple[Service, Service]
    reader: Service
    key: str
    """Of an auditor of both."""
    keys: tuple[str, str]
    """Those of each shard's own auditors."""
    answers: tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]

    @property
    def numbers(self) -> set[str]:
        """All that were answered."""
        return {number for answers in self.answers for number in answers}

    def of_each(self, path: str) -> list[Any]:
        """What the shards themselves answer."""
        return [
            ask(issuer.port, path, **bearer(key)).json() for issuer, key in zip(self.issuers, self.keys, strict=True)
        ]

    def asked(self, path: str) -> Any:
        """What the coordinator answers."""
        answer = ask(self.reader.port, path, **bearer(self.key))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def missing(self, path: str) -> str:
        """What the coordinator says that lacks, where it can't answer."""
        answer = ask(self.reader.port, path, **bearer(self.key))
        assert problem(answer) == (503, "shard-unavailable")
        said: str = answer.json()["detail"]
        return said


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    with shards.two() as made:
        yield made


@pytest.fixture(scope="module")
def world(two: Two, service: ServiceFactory, length: Length) -> Iterator[World]:
    each = length(600, 2_000)
    first, second = two.shards
    issuers = (first.issuer(service), second.issuer(service))
    code, said = two.coordinate()
    assert code == 0, said
    reader = two.reader(service)
    key = make_key(two.database, "audit", "reports")
    keys = (make_key(first.database, "audit", "reports"), make_key(second.database, "audit", "reports"))
    with first.sealer(), second.sealer():
        outcomes = asyncio.run(into_both(issuers, each))
        assert not any(outcome.refused or outcome.broken for outcome in outcomes)
        one, other = ({one.document["tracking_number"]: one.document for one in out.answers} for out in outcomes)
        for shard in two.shards:
            until_published(shard.database, each)
        yield World(two, each, issuers, reader, key, keys, (one, other))


async def into_both(issuers: tuple[Service, Service], each: int) -> list[Outcome]:
    return list(await asyncio.gather(*(load(issuer.port, each) for issuer in issuers)))


@contextmanager
def down(shard: Shard) -> Iterator[None]:
    """The shard's PostgreSQL is stopped, and there again after the block."""
    shard.cluster.server.stop()
    try:
        yield
    finally:
        shard.cluster.server.start()


def test_no_number_comes_twice_and_each_says_which_shard_it_is_of(world: World) -> None:
    assert [len(answers) for answers in world.answers] == [world.each, world.each]
    assert len(world.numbers) == 2 * world.each
    for shard, answers in enumerate(world.answers):
        assert {shard_of(NUMBERING.decode(number).serial) for number in answers} == {shard}


def test_a_log_that_another_key_signed_is_no_shards(world: World) -> None:
    other = SignerKey(world.two.shards[1].key.name, bytes([9] * 32)).verifier
    code, said = world.two.coordinate(f"{world.two.shards[1].line.rpartition(' ')[0]} {other}")
    assert (code, "is not signed by log.test/shard-1" in said) == (1, True)


def test_a_number_is_looked_up_as_its_own_shard_does(world: World) -> None:
    for answers, issuer, key in zip(world.answers, world.issuers, world.keys, strict=True):
        for number in list(answers)[:: world.each // 5]:
            found = world.asked(f"{PATH}/{number}")
            assert found["leaf_hash"] == answers[number]["leaf_hash"]
            assert found["sealed_in"]
            assert found == ask(issuer.port, f"{PATH}/{number}", **bearer(key)).json()


def test_an_instance_that_reads_all_shards_is_ready_and_can_be_scraped(world: World) -> None:
    ready = ask(world.reader.port, "/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    scraped = ask(world.reader.port, "/metrics", **bearer(make_key(world.two.database, "operate"))).text
    assert "\ntracking_database_up 1.0\n" in scraped
    assert "\ntracking_database_size_bytes " in scraped


def test_a_customers_key_opens_that_customers_numbers_alone(world: World) -> None:
    own = make_key(world.two.database, "audit", customer=CUSTOMER)
    theirs = {row["tracking_number"] for row in world.asked(f"{PATH}?customer_id={CUSTOMER}&limit=5")["results"]}
    for number in theirs:
        assert ask(world.reader.port, f"{PATH}/{number}", **bearer(own)).status_code == 200
    others = (number for number in world.numbers if number not in theirs)
    tags = {
        number: world.asked(f"{PATH}/{number}")["customer_tag"] for _, number in zip(range(9), others, strict=False)
    }
    (tag,) = {world.asked(f"{PATH}/{number}")["customer_tag"] for number in theirs}
    for number, of in tags.items():
        assert ask(world.reader.port, f"{PATH}/{number}", **bearer(own)).status_code == (200 if of == tag else 404)


def test_a_proof_is_under_the_key_of_the_numbers_own_shard(world: World) -> None:
    for shard, answers in zip(world.two.shards, world.answers, strict=True):
        for number in list(answers)[:: world.each // 5]:
            answer = ask_proof(world.reader.port, number)
            assert answer.status_code == 200, answer.text
            leaf = bytes.fromhex(answers[number]["leaf_hash"])
            assert proof.verify(answer.text, shard.key, leaf)[1].size >= world.each


def test_a_number_that_nobody_issued_is_unknown_and_has_no_barcode(world: World) -> None:
    last = 2**36 - 1
    for serial in (last, 2**36 + last, 7 << 36):  # of either shard, and of one that there isn't
        number = NUMBERING.encode(serial, "MY", "ID")
        for path in (f"{PATH}/{number}", f"{PATH}/{number}/proof", f"{PATH}/{number}/barcode.svg"):
            assert problem(ask(world.reader.port, path, **bearer(world.key))) == (404, "unknown-number")
    for answers in world.answers:
        assert ask(world.reader.port, f"{PATH}/{next(iter(answers))}/barcode.svg").status_code == 200


def test_a_list_has_all_numbers_of_both_in_the_order_of_serials_either_way(world: World) -> None:
    for order, by in (("serial", "next"), ("-serial", "next")):
        found = follow(world.reader.port, world.key, f"{PATH}?limit={world.each // 3}&order={order}", by)
        serials = [NUMBERING.decode(row["tracking_number"]).serial for row in found.rows]
        assert serials == sorted(serials, reverse=order == "-serial")
        assert {row["tracking_number"] for row in found.rows} == world.numbers
        assert len(found.rows) == found.size == 2 * world.each
        back = follow(world.reader.port, world.key, found.links[-1], "previous")
        assert [row["tracking_number"] for row in reversed(back.rows)] == [row["tracking_number"] for row in found.rows]
    page = world.asked(f"{PATH}?limit=1")
    assert page["shards"] == [{"shard": 0, "size": world.each}, {"shard": 1, "size": world.each}]


@pytest.mark.parametrize(
    "query",
    [
        "route=MY-ID",
        f"customer_id={CUSTOMER}",
        f"customer_id={CUSTOMER}&origin_country_id=SG&weight_band=9",
        "issued_after=2026-01-01T00:00:00Z",
        "issued_before=2026-01-01T00:00:00Z",
        "issued_after={middle}&weight_band=8",
        "issued_before={middle}&route=DE-US",
    ],
)
def test_filters_find_what_each_shard_finds(world: World, query: str) -> None:
    moments = sorted(each["created_at"] for answers in world.answers for each in answers.values())
    query = query.format(middle=moments[world.each])
    whole = f"{PATH}?limit=1000&{query}"
    rows = follow(world.reader.port, world.key, whole).rows
    of_each = [
        row
        for issuer, key in zip(world.issuers, world.keys, strict=True)
        for row in follow(issuer.port, key, whole).rows
    ]
    assert rows == of_each


def test_an_export_has_everything(world: World) -> None:
    answer = ask(world.reader.port, f"{PATH}?format=jsonl", **bearer(world.key))
    assert {json.loads(line)["tracking_number"] for line in answer.text.splitlines()} == world.numbers


@pytest.mark.parametrize("by", ["day", "route", "weight_band"])
def test_a_customers_statistics_are_the_sum_of_both_wherever_the_roll_ups_stand(world: World, by: str) -> None:
    path = f"{STATS}?by={by}"
    for _ in range(2):
        found, of_each = world.asked(path), world.of_each(path)
        assert found["total"] == sum(each["total"] for each in of_each) > 0
        assert found["size"] == 2 * world.each
        assert found["shards"] == [{"shard": 0, "size": world.each}, {"shard": 1, "size": world.each}]
        assert counted(found["rows"]) == sum((counted(each["rows"]) for each in of_each), Counter())
        daily_reports.step(world.two.shards[0].database)  # then one shard is rolled up, and the other is not


def counted(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """Rows of counts by what they are of."""
    return Counter({tuple(v for k, v in row.items() if k != "count"): row["count"] for row in rows})


def test_daily_reports_are_the_sum_of_both(world: World) -> None:
    for shard in world.two.shards:
        daily_reports.step(shard.database)
    found, of_each = world.asked(daily_reports.PATH), world.of_each(daily_reports.PATH)
    totals = Counter[str]()
    for each in of_each:
        totals.update({day["day"]: day["total"] for day in each["days"]})
    assert {day["day"]: day["total"] for day in found["days"]} == totals
    assert found["total"] == found["size"] == 2 * world.each
    for day in found["days"]:
        of_day, parts = world.asked(day["links"]["self"]), world.of_each(day["links"]["self"])
        assert of_day["type"] == "day-of-shards"
        assert cells(of_day) == sum((cells(part) for part in parts), Counter())
    text = ask(world.reader.port, f"{daily_reports.PATH}?format=csv", **bearer(world.key)).text
    assert sum(int(row["count"]) for row in csv.DictReader(io.StringIO(text))) == 2 * world.each


def cells(document: dict[str, Any]) -> Counter[tuple[Any, ...]]:
    """The counts of a day's document."""
    return Counter({(c["origin"], c["destination"], c["weight_band"]): c["count"] for c in document["counts"]})


def test_counts_are_followed_to_where_a_rebuild_has_put_them(world: World) -> None:
    before = world.asked(STATS), world.asked(daily_reports.PATH)
    run(world.two.shards[0].database, "rebuild_reports")
    assert (world.asked(STATS), world.asked(daily_reports.PATH)) == before


def test_nothing_is_issued_where_both_are_read_and_no_log_is_served_as_if_there_were_one(world: World) -> None:
    port = world.reader.port
    issuing = make_key(world.two.database, "issue")
    assert problem(ask(port, "/next-tracking-number")) == (421, "issues-elsewhere")
    posted = httpx.post(f"{world.reader.base_url}{PATH}", json=[{}], headers=bearer(issuing))
    assert problem(posted) == (421, "issues-elsewhere")
    for path in ("/checkpoint", "/tile/0/000"):
        assert problem(ask(port, path)) == (404, "one-log-each")
    assert problem(ask(port, "/console/")) == (404, "not-found")
    assert all(ask(port, f"/v1/validate/{next(iter(each))}").json()["possible"] for each in world.answers)


def test_nobody_can_write_through_the_coordinator(world: World) -> None:
    with psycopg.connect(world.two.database.url, autocommit=True) as session:
        session.execute("SET ROLE tracking_app")
        for table in ("issuance_event", "shard_0.issuance_event", "public.issuance_event", "public.allocator"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(f"DELETE FROM {table}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(f"INSERT INTO {table} DEFAULT VALUES")
    with psycopg.connect(world.two.database.owner_url, autocommit=True) as superuser:
        for number in (0, 1):
            superuser.execute(f"ALTER SERVER shard_{number} OPTIONS (SET updatable 'true')")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for table"):
                superuser.execute(f"DELETE FROM shard_{number}.issuance_event")  # the shard itself refuses
            superuser.execute(f"ALTER SERVER shard_{number} OPTIONS (SET updatable 'false')")


def test_while_one_shard_is_down_the_other_goes_on_and_reads_say_what_is_missing(world: World) -> None:
    gone, numbers = world.two.shards[1], list(world.answers[0])
    lost = next(iter(world.answers[1]))
    some_day = world.asked(daily_reports.PATH)["days"][0]["links"]["self"]
    whole = [STATS, daily_reports.PATH, some_day, PATH, f"{PATH}/{lost}/proof"]
    before = {path: world.asked(path) for path in whole[:2]}
    with down(gone), issuing(world.issuers[0], world.each // 2) as issued:
        for number in numbers[:3]:
            assert world.asked(f"{PATH}/{number}")["tracking_number"] == number
            assert ask_proof(world.reader.port, number).status_code == 200
        for path in (*whole, f"{PATH}/{lost}", f"{PATH}/{lost}/barcode.svg"):
            assert world.missing(path) == "Shard 1 can't be reached."
        assert (
            problem(ask(world.issuers[1].port, "/next-tracking-number?x=1"))[0] == 400
        )  # it answers, and issues nothing
    more = issued.result()
    assert len(more.numbers) == world.each // 2
    assert not more.broken
    assert eventually(lambda: ask(world.reader.port, STATS, **bearer(world.key)).status_code == 200)
    until_published(world.two.shards[0].database, world.each + world.each // 2)
    found = world.asked(STATS)
    assert found["shards"] == [{"shard": 0, "size": world.each + world.each // 2}, {"shard": 1, "size": world.each}]
    assert found["total"] == sum(each["total"] for each in world.of_each(STATS)) > before[STATS]["total"]
    assert world.asked(f"{PATH}/{lost}")["tracking_number"] == lost
    listed = follow(world.reader.port, world.key, f"{PATH}?limit=1000")
    assert {row["tracking_number"] for row in listed.rows} == world.numbers | set(more.numbers)
    again = asyncio.run(load(world.issuers[1].port, 50, patience=60))
    assert len(again.numbers) == 50
    assert not set(again.numbers) & (world.numbers | set(more.numbers))


def test_a_list_that_was_begun_goes_on_among_the_shards_that_are_there(world: World) -> None:
    page = world.asked(f"{PATH}?limit=2")
    with down(world.two.shards[1]):
        after = world.asked(page["next"])
        assert len(after["results"]) == 2
        assert world.asked(after["previous"])["results"] == page["results"]


@contextmanager
def issuing(issuer: Service, count: int) -> Iterator[Future[Outcome]]:
    """Issue beside what the block does."""
    done = Future[Outcome]()

    def run() -> None:
        try:
            done.set_result(asyncio.run(load(issuer.port, count)))
        except BaseException as error:  # noqa: BLE001  # it is the test's to see
            done.set_exception(error)

    thread = Thread(target=run)
    thread.start()
    yield done
    thread.join()


def test_a_shard_that_hangs_is_waited_for_as_long_as_the_coordinator_is_told_to(world: World) -> None:
    lost, there = (next(iter(answers)) for answers in reversed(world.answers))
    server = world.two.shards[1].cluster.server
    hung = f"A shard has not answered within {STATEMENT_SECONDS} seconds."
    assert world.asked(f"{PATH}/{lost}")
    with standing_still(server.pid):
        for _ in range(20):
            began = time.monotonic()
            said = world.missing(f"{PATH}/{lost}")
            if said == hung:
                break
            # Of several threads some may have no connection to that shard yet, and none is made now.
            assert said == "Shard 1 can't be reached."
        assert said == hung
        assert time.monotonic() - began >= STATEMENT_SECONDS
        assert world.asked(f"{PATH}/{there}")["tracking_number"] == there
    assert eventually(lambda: ask(world.reader.port, f"{PATH}/{lost}", **bearer(world.key)).status_code == 200)


def test_a_day_is_closed_once_each_shard_has_written_its_report(world: World) -> None:
    today = of_one_day()
    for issuer in world.issuers:
        assert len(asyncio.run(load(issuer.port, 20, patience=60)).numbers) == 20  # one was just cut off
    path = f"{daily_reports.PATH}/{today}"
    for last, shard in enumerate(world.two.shards):
        until_settled(shard)
        daily_reports.close(shard.database, f"{today + timedelta(days=1)}T01:00:00Z")
        days = world.asked(daily_reports.PATH)["days"]
        assert [day["closed"] for day in days] == [last == 1] * len(days)
        digests = [each["report"] for each in world.asked(path)["shards"]]
        assert [digest is not None for digest in digests] == [True, last == 1]
    reports = [ask(issuer.port, path, **bearer(key)) for issuer, key in zip(world.issuers, world.keys, strict=True)]
    assert digests == [sha256(report.content).hexdigest() for report in reports]

    late = asyncio.run(load(world.issuers[1].port, 20))
    until_settled(world.two.shards[1])
    days = world.asked(daily_reports.PATH)["days"]
    (day,) = [each for each in days if each["day"] == str(today)]
    assert day["corrections"] == len(late.numbers) == 20
    daily_reports.step(world.two.shards[1].database)
    found = world.asked(f"{path}/corrections")
    assert (found["total"], [each["shard"] for each in found["corrections"]]) == (20, [1])
    assert world.asked(daily_reports.PATH)["days"] == days


def until_settled(shard: Shard) -> None:
    """Return once all that the shard has issued is published."""
    with psycopg.connect(shard.database.owner_url) as session:
        row = session.execute("SELECT count(*) FROM issuance_event").fetchone()
        assert row is not None
    until_published(shard.database, row[0])
