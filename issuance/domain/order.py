"""The order of a number: seven parameters, checked, in the form that the rest of the service uses."""

from typing import NamedTuple

from issuance.domain.parameters import CHECKS
from ledger.domain import weight

NAMES = tuple(CHECKS)
MOST_PARAMETERS = 32
"""So many are read, to say what is wrong with each; seven are right."""


class Flaw(NamedTuple):
    """One thing that is wrong with a request.

    Attributes:
        parameter: its name, as given.
        code: for programs: missing, repeated, unknown, too-many, or one of ValueFlaw's.
        detail: for people; never repeats the value.
    """

    parameter: str
    code: str
    detail: str


class InvalidOrderError(ValueError):
    """This is not an order; ``flaws`` has everything that is wrong with it."""

    def __init__(self, flaws: list[Flaw]) -> None:
        super().__init__(f"{len(flaws)} flaws")
        self.flaws = flaws


class Order(NamedTuple):
    """What a number is asked for.

    Attributes:
        origin, destination: ISO 3166-1 alpha-2, upper case.
        grams: 1 to 1,000,000.
        created_at: when the order was made, microseconds of the Unix epoch.
        customer_id: 16 bytes; name and slug are checked, and kept only long enough to fingerprint the request.
    """

    origin: str
    destination: str
    grams: int
    created_at: int
    customer_id: bytes
    customer_name: str
    customer_slug: str

    @property
    def weight_band(self) -> int:
        """The code that is stored, 0 to 10."""
        return weight.band(self.grams)

    def canonical(self) -> tuple[bytes, ...]:
        """All seven parameters, each in one form, for the fingerprint of an Idempotency-Key."""
        return (
            self.origin.encode(),
            self.destination.encode(),
            b"%d" % self.grams,
            b"%d" % self.created_at,
            self.customer_id,
            self.customer_name.encode(),
            self.customer_slug.encode(),
        )


def too_many(count: int) -> Flaw:
    """More parameters than are worth looking at one by one."""
    return Flaw("", "too-many", f"There are {count} parameters; {len(NAMES)} are expected.")


def unknown(name: str) -> Flaw:
    """A parameter that an order doesn't have."""
    return Flaw(name[:64], "unknown", f"There is no such parameter; these are: {', '.join(NAMES)}.")


def repeated(name: str) -> Flaw:
    """A parameter that is given again: nobody can tell which was meant."""
    return Flaw(name, "repeated", "This parameter is given more than once.")


def missing(name: str) -> Flaw:
    """A parameter that isn't given."""
    return Flaw(name, "missing", "This parameter is required.")
