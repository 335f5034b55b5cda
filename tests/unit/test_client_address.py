"""Whose request it is: what trusted proxies say, and nothing that anybody else could have written."""

import pytest

from core.throttle.address import UNKNOWN, client

PEER = "203.0.113.9"


@pytest.mark.parametrize(
    ("forwarded", "trusted", "found"),
    [
        (None, 0, PEER),
        (None, 1, PEER),
        (b"192.0.2.1", 0, PEER),
        (b"192.0.2.1", 1, "192.0.2.1"),
        (b"192.0.2.1, 198.51.100.7", 1, "198.51.100.7"),
        (b"192.0.2.1, 198.51.100.7", 2, "192.0.2.1"),
        (b"10.0.0.1, 192.0.2.1 ,198.51.100.7", 2, "192.0.2.1"),
        (b"192.0.2.1", 2, PEER),
        (b"", 1, PEER),
        (b"192.0.2.1,", 1, PEER),
        (b"unknown", 1, PEER),
        (b"192.0.2.256", 1, PEER),
        (b"caf\xe9", 1, PEER),
        (b"192.0.2.1:8443", 1, "192.0.2.1"),
        (b"[2001:db8:1:2:3::4]:443", 1, "2001:db8:1:2::/64"),
        (b"[2001:db8:1:2:3::4]", 1, "2001:db8:1:2::/64"),
        (b"::ffff:192.0.2.1", 1, "192.0.2.1"),
    ],
)
def test_the_address_stands_as_far_from_the_right_as_there_are_proxies(
    forwarded: bytes | None, trusted: int, found: str
) -> None:
    assert client(PEER, forwarded, trusted) == found


def test_addresses_of_one_ipv6_network_are_one_client() -> None:
    same = {client(f"2001:db8:0:1:{host}", None, 0) for host in (":1", "ffff:ffff:ffff:ffff", ":2")}
    assert same == {"2001:db8:0:1::/64"}
    assert client("2001:db8:0:2::1", None, 0) not in same
    assert client("fe80::1%eth0", None, 0) == "fe80::/64"


def test_a_connection_without_an_address_is_known_by_its_proxy_or_not_at_all() -> None:
    assert client("", None, 0) == client("", b"nonsense", 1) == UNKNOWN
    assert client("", b"192.0.2.1", 1) == "192.0.2.1"
