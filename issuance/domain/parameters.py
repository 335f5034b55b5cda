"""The seven parameters of an order: how the text of each is checked and read, and what is said of one that can't be."""

import re
import time
import unicodedata
from collections.abc import Callable

from ledger.domain import values
from ledger.domain.values import ValueFlaw, malformed

LONGEST_TEXT = 200
HEAVIEST = 1_000_000
"""Grams."""

_A_DAY = 86_400_000_000

_WEIGHT = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,3}))?")
_SLUG = re.compile("[a-z0-9]+(?:-[a-z0-9]+)*")


def grams(text: str) -> int:
    """The grams, 1 to HEAVIEST, of a weight in kilograms; raises ValueFlaw."""
    match = _WEIGHT.fullmatch(text)
    if not match:
        raise malformed(text, "Kilograms are expected, up to three decimals, such as 1.234.")
    whole, fraction = match.groups("")
    grams = int(whole + fraction.ljust(3, "0"))
    if not 0 < grams <= HEAVIEST:
        raise ValueFlaw("range", "The weight must be more than 0 and at most 1000 kg.")
    return grams


def created_at(text: str) -> int:
    """The microseconds of the Unix epoch of a time, up to a day from now; raises ValueFlaw."""
    moment = values.instant(text)
    if not 0 <= moment <= time.time_ns() // 1000 + _A_DAY:
        raise ValueFlaw("range", "The time must lie between 1970 and a day from now.")
    return moment


def customer_name(text: str) -> str:
    """A name without the space around it; raises ValueFlaw."""
    # What can be printed holds no control character; the reverse does not hold, so the rest is looked at one by one.
    if not text.isprintable() and any(unicodedata.category(each) in {"Cc", "Zl", "Zp"} for each in text):
        raise ValueFlaw("control-character", "Control characters are not allowed.")
    stripped = text.strip()
    if not stripped:
        raise ValueFlaw("empty", "A value is required, not only spaces." if text else "A value is required.")
    if len(stripped) > LONGEST_TEXT:
        raise ValueFlaw("length", f"At most {LONGEST_TEXT} characters are allowed.")
    return stripped


def customer_slug(text: str) -> str:
    """A slug as it is; raises ValueFlaw."""
    if len(text) > LONGEST_TEXT:
        raise ValueFlaw("length", f"At most {LONGEST_TEXT} characters are allowed.")
    if not _SLUG.fullmatch(text):
        raise malformed(text, "Lower-case letters and digits in words joined by single hyphens are expected.")
    return text


CHECKS: dict[str, Callable[[str], str | int | bytes]] = {
    "origin_country_id": values.country,
    "destination_country_id": values.country,
    "weight": grams,
    "created_at": created_at,
    "customer_id": values.uuid,
    "customer_name": customer_name,
    "customer_slug": customer_slug,
}
"""Each parameter's check: from its text to what an Order holds, in the order of Order's fields; raises ValueFlaw."""
