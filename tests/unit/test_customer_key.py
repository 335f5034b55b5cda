"""Which customer keys a ledger accepts: settings that may run at once agree, all others are refused."""

from itertools import pairwise

import pytest

from ledger.domain import customer_key
from ledger.domain.customer_key import CustomerKeyError, Fact, Known, Record
from ledger.domain.tag import KeyRing
from tests.support.processes.key_rotation import AFTER, BEFORE, KNOWN, USED
from tests.support.processes.secret_keys import key

RINGS = {text: KeyRing.parse(text) for text in (BEFORE, KNOWN, USED, AFTER)}
FINGERPRINTS = KeyRing.parse(USED).fingerprints
SETTINGS = [BEFORE, KNOWN, USED, AFTER]
STARTED = {
    BEFORE: [(1, Fact.INTRODUCED), (1, Fact.USED)],
    KNOWN: [(2, Fact.INTRODUCED)],
    USED: [(2, Fact.USED)],
    AFTER: [],
}
"""What each setting's first process adds to the record."""


def record(*facts: tuple[int, Fact]) -> Record:
    return Record(Known(key_id, fact, FINGERPRINTS[key_id]) for key_id, fact in facts)


def until(setting: str) -> list[tuple[int, Fact]]:
    """All facts once the first process of a setting has started, which key 1's retirement comes before."""
    before = SETTINGS[: SETTINGS.index(setting) + 1]
    facts = [fact for each in before for fact in STARTED[each]]
    return facts + ([(1, Fact.RETIRED)] if setting == AFTER else [])


def accepts(facts: list[tuple[int, Fact]], setting: str) -> bool:
    try:
        customer_key.check(RINGS[setting], record(*facts))
    except CustomerKeyError:
        return False
    return True


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_may_start_beside_its_neighbours_alone(setting: str) -> None:
    place = SETTINGS.index(setting)
    for other in SETTINGS:
        # While `other` is the newest that runs, its neighbour of before still does, and may start again.
        near = SETTINGS.index(other) - place in {0, 1}
        if near:
            assert accepts(until(other), setting), other
    for other in SETTINGS[place + 2 :]:
        assert not accepts(until(other), setting), "what is two steps behind would miss events, or tag with the old key"


@pytest.mark.parametrize(("before", "setting"), list(pairwise(SETTINGS)))
def test_a_first_process_adds_to_the_record_what_is_new_and_a_second_one_nothing(before: str, setting: str) -> None:
    facts = until(before) + ([(1, Fact.RETIRED)] if setting == AFTER else [])
    new = customer_key.check(RINGS[setting], record(*facts))
    assert [(each.key_id, each.fact) for each in new] == STARTED[setting]
    assert all(each.fingerprint == FINGERPRINTS[each.key_id] for each in new)
    assert customer_key.check(RINGS[setting], record(*until(setting))) == []


def test_a_ledger_without_a_record_takes_what_it_is_given() -> None:
    new = customer_key.check(RINGS[USED], record())
    assert {(each.key_id, each.fact) for each in new} == {(k, f) for k in (1, 2) for f in (Fact.INTRODUCED, Fact.USED)}
    new = customer_key.check(RINGS[KNOWN], record())
    assert (2, Fact.USED) not in {(each.key_id, each.fact) for each in new}, "it waits"


def test_a_step_back_is_good_as_long_as_nothing_is_lost_by_it() -> None:
    assert accepts(until(KNOWN), BEFORE)
    assert accepts(until(USED), KNOWN)
    assert not accepts(until(USED), BEFORE)


@pytest.mark.parametrize(
    ("setting", "facts", "sentence"),
    [
        (f"1:{key('another')}", until(BEFORE), "key 1 has the fingerprint"),
        (USED, until(BEFORE), "ends with key 2, which no process knows yet"),
        (AFTER, until(USED), "lacks key 1, with which events were tagged"),
        (KNOWN, [*until(USED), (1, Fact.RETIRED)], "ends with key 1, which is retired"),
        (USED, [*until(AFTER), (1, Fact.DESTROYED)], "key 1 was destroyed, and may not come back"),
    ],
)
def test_what_does_not_fit_is_refused_and_no_secret_is_told(
    setting: str, facts: list[tuple[int, Fact]], sentence: str
) -> None:
    with pytest.raises(CustomerKeyError) as refused:
        customer_key.check(KeyRing.parse(setting), record(*facts))
    assert sentence in str(refused.value)
    assert not any(part.partition(":")[2] in str(refused.value) for part in setting.split(","))


def test_whoever_only_reads_may_have_any_key_last() -> None:
    with pytest.raises(CustomerKeyError):
        customer_key.check(RINGS[USED], record(*until(BEFORE)))
    assert customer_key.check(RINGS[USED], record(*until(BEFORE)), tags=False)
    with pytest.raises(CustomerKeyError, match="lacks key 1"):
        customer_key.check(RINGS[AFTER], record(*until(USED)), tags=False)


def test_an_id_is_never_given_twice_and_there_is_a_last_one() -> None:
    assert record(*until(KNOWN)).next_id(RINGS[BEFORE]) == 3
    assert record().next_id(RINGS[AFTER]) == 3
    last = KeyRing.parse(f"9999:{key('last')}")
    with pytest.raises(CustomerKeyError, match="last that there can be"):
        record().next_id(last)


def test_a_fingerprint_tells_keys_apart_and_is_no_tag() -> None:
    assert len(set(FINGERPRINTS.values())) == 2
    assert KeyRing.parse(f"7:{BEFORE[2:]}").fingerprints[7] == FINGERPRINTS[1], "it goes by the secret alone"
    frozen = "e7e69820d6771287"
    assert customer_key.shown(FINGERPRINTS[1]) == frozen, "records hold it, so it may never change"


def test_the_steps_make_one_setting_of_the_other() -> None:
    new = bytes.fromhex(AFTER[2:])
    known = RINGS[BEFORE].knowing(2, new)
    assert known.setting == KNOWN
    assert known.using(2).setting == USED
    assert known.using(2).without(1).setting == AFTER
