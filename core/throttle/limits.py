"""Which quota a request for numbers is counted by: its API key's, or its address's where it has none."""

from core.env import Env, SettingsError
from core.throttle.asking import Keys
from core.throttle.domain import Policy, Taken
from core.throttle.local import Throttle


class Limits:
    """The quotas, and the throttle that keeps them; a quota of 0 is none.

    Attributes:
        throttle: counts what it refused, and what it could not count.
    """

    def __init__(self, throttle: Throttle, *, per_address: int, per_key: int) -> None:
        self.throttle = throttle
        self._per_address = Policy("address", per_address) if per_address else None
        self._per_key = Policy("key", per_key) if per_key else None

    async def take(self, principal: int | None, address: str, count: int = 1) -> Taken | None:
        """Take tokens for so many numbers; None: there is no limit, or nobody counts at present.

        Args:
            principal: the id of the API key that the request has, if it has one.
            address: whose it is else, as core.throttle.address has it.
            count: all are taken, or none.
        """
        if principal is None:
            policy, caller = self._per_address, address
        else:
            policy, caller = self._per_key, f"key {principal}"
        return None if policy is None else await self.throttle.take(policy, caller, count)


def limits(env: Env, redis_url: str | None, secret: str) -> Limits | None:
    """The limits that the settings ask for; None: they ask for none.

    Raises:
        SettingsError: there is no Redis to keep them.
    """
    if not env.throttle_per_address and not env.throttle_per_key:
        return None
    if redis_url is None:
        raise SettingsError(
            "THROTTLE_PER_ADDRESS and THROTTLE_PER_KEY need REDIS_URL, where all processes count together; set it, or "
            "set both to 0. See README.md, Settings."
        )
    from core.throttle.store import Store  # noqa: PLC0415  # a client of Redis is loaded only where there is one

    throttle = Throttle(Store(redis_url), Keys(secret))
    return Limits(throttle, per_address=env.throttle_per_address, per_key=env.throttle_per_key)
