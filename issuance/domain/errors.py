"""What can keep a number from being issued, in the words of the domain."""


class IssuanceError(Exception):
    """No number was issued; the message says why, for the operator."""


class UnavailableError(IssuanceError):
    """The database is away, or does not answer in time: try again."""


class OverloadedError(IssuanceError):
    """More requests wait than the queue holds: try again later."""


class StoppingError(IssuanceError):
    """This process is shutting down: try another, or again."""


class RefusedError(IssuanceError):
    """Issuing would not be safe until somebody has looked; trying again does not help."""


class FenceError(RefusedError):
    """The fence is missing, damaged, or says that the database was rolled back."""


class RestoredDatabaseError(FenceError):
    """The database is behind the fence: blocks that it would lease were used before."""


class WrongCustomerKeysError(RefusedError):
    """CUSTOMER_TAG_KEYS don't fit those that the ledger knows."""


class ExhaustedError(RefusedError):
    """The shard has no block left."""


class CollisionError(RefusedError):
    """A serial or number was in the ledger already: what must never happen has happened."""


class KeyReusedError(IssuanceError):
    """An Idempotency-Key came again with other parameters."""


class UnrecordableError(IssuanceError):
    """The database refuses this one event; a defect of ours, since the order was valid."""
