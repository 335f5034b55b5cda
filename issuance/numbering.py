"""Numbers under the NUMBER_KEY of this process."""

from functools import lru_cache

from django.conf import settings

from core.env import Env, SettingsError
from issuance.domain.number import Numbering
from ledger.domain.form import NumberError


def numbering(env: Env) -> Numbering:
    """The numbering under NUMBER_KEY.

    Raises:
        SettingsError: there is no key yet.
    """
    if env.number_key is None:
        raise SettingsError("There is no NUMBER_KEY yet. `make run` makes one on its first start.")
    return Numbering(bytes.fromhex(env.number_key))


kept_numbering = lru_cache(1)(numbering)
"""The same for readers: their look-ups push nothing out of the caches of the writer's own."""


def serial_of(number: str) -> int | None:
    """The serial that a well-formed number was made of; None: NUMBER_KEY has never made it."""
    try:
        return kept_numbering(settings.ENV).decode(number).serial
    except NumberError:
        return None
