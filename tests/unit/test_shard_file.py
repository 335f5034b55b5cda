"""The file that names the shards: one a line, and whatever is wrong is said without the password."""

import pytest

from ledger.coordinator import CoordinatorError, Shard, parse
from ledger.domain.note import SignerKey

ONE, OTHER = (SignerKey(f"log.test/{number}", bytes([number] * 32)).verifier for number in (1, 2))
URL = "postgresql://reader:hush@db/tracking"


def test_shards_are_read_in_their_order_and_comments_passed_over() -> None:
    found = parse(f"# all of them\n\n31 {URL} {OTHER}\n  0   {URL}1 {ONE}  \n")
    assert [(shard.number, shard.url, str(shard.key)) for shard in found] == [
        (0, f"{URL}1", str(ONE)),
        (31, URL, str(OTHER)),
    ]
    assert all(isinstance(shard, Shard) for shard in found)


@pytest.mark.parametrize(
    "line",
    [
        f"32 {URL} {ONE}",
        f"-1 {URL} {ONE}",
        f"one {URL} {ONE}",
        f"1 {URL}",
        f"1 {URL} {ONE} more",
        f"1 {URL} {ONE}x",
        f"1 hush=hush=hush {ONE}",
        f"1 postgresql://reader:hush@db:port:port/x?y=z {ONE}",
    ],
)
def test_a_line_of_another_form_is_named_and_not_quoted(line: str) -> None:
    with pytest.raises(CoordinatorError, match=r"^Line 2 is not") as refused:
        parse(f"0 {URL} {OTHER}\n{line}")
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("second", [f"1 {URL} {OTHER}", f"2 {URL} {ONE}"], ids=["the shard", "the log"])
def test_neither_a_shard_nor_a_log_is_named_twice(second: str) -> None:
    with pytest.raises(CoordinatorError, match=r"^Line 2 names a shard or a log that a line before it names"):
        parse(f"1 {URL} {ONE}\n{second}")


def test_no_shard_at_all_is_refused() -> None:
    with pytest.raises(CoordinatorError, match="No shard is named"):
        parse("# nothing\n")
