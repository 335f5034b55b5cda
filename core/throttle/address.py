"""Whose request it is, as far as addresses tell: the connection's, or what trusted proxies say of it."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

UNKNOWN: Final = "unknown"
"""Of connections that have no address, as those over a unix socket: all of them together."""

_REMEMBERED: Final = 8192
_IPV6_GROUP: Final = 64
"""Bits of an IPv6 address that tell subscribers apart (RFC 6177); the rest are theirs to choose."""
_WITH_PORT: Final = re.compile(r"\[([^\]]+)\](?::\d+)?|([0-9.]+):\d+")
"""How some proxies write an address: ``[2001:db8::1]:443``, ``192.0.2.1:443``."""


@lru_cache(_REMEMBERED)
def client(peer: str, forwarded: bytes | None, trusted: int) -> str:
    """The client's address, IPv6 by its /64 network.

    Args:
        peer: the other end of the connection; empty where it has no address.
        forwarded: X-Forwarded-For, all of them joined by commas; None where there is none.
        trusted: how many proxies stand in front. Each appends the address that it was called from, so the client's is
            that far from the right; what stands left of it anybody could have written.
    """
    if trusted and forwarded is not None:
        hops = forwarded.decode("latin-1").split(",")
        if len(hops) >= trusted and (found := _group(hops[-trusted].strip())):
            return found
    return _group(peer) or UNKNOWN


def _group(text: str) -> str | None:
    if match := _WITH_PORT.fullmatch(text):
        text = match[1] or match[2]
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), _IPV6_GROUP), strict=False))
