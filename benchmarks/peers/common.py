"""What the Python peers share: the columns of a row that no framework makes for them."""

import base64
import hmac
import itertools
import os
import secrets
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pycountry

DATABASE_URL = os.environ["DATABASE_URL"]
COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries) | {"XK"}
SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_BANDS = [Decimal(bound) for bound in ("0.1", "0.25", "0.5", "1", "2", "5", "10", "20", "30", "70")]
_KEY = secrets.token_bytes(32)
_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# 19 bits of the process above 22 that count: unique in one run, within the table's 41, and no round trip.
_SERIALS = itertools.count(os.getpid() % 2**19 << 22)


def new_number(origin: str, destination: str) -> str:
    """16 characters that the table takes: 53 random bits, the route, and no check character worth the name."""
    random = secrets.token_bytes(7)
    text = base64.b32encode(random).translate(_CROCKFORD).decode()
    return f"{random[6] & 7}{text[:10]}{origin}{destination}0"


def new_serial() -> int:
    """A number for the ledger's unique ``serial`` column."""
    return next(_SERIALS)


def customer_tag(customer_id: bytes) -> bytes:
    """HMAC-SHA-256 of the customer's 16 bytes."""
    return hmac.digest(_KEY, customer_id, "sha256")


def weight_band(weight: Decimal) -> int:
    """The code, 0 to 10, of a weight in kg."""
    return bisect_left(_BANDS, weight)


def checked_country(code: str) -> str:
    """The code, if it is assigned."""
    if code not in COUNTRIES:
        raise ValueError("not an assigned ISO 3166-1 alpha-2 code")
    return code


def checked_time(moment: datetime) -> datetime:
    """The time, if it lies between 1970 and a day ahead of now."""
    if not _EPOCH <= moment <= datetime.now(UTC) + timedelta(days=1):
        raise ValueError("not between 1970 and a day ahead of now")
    return moment
