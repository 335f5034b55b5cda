"""Whose key a request presents, asked from the event loop: of memory, or of the database on a thread beside it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.db import DatabaseError

from core import problems
from core.keys import domain, store
from core.keys.callers import CALLERS, Callers, Find, too_many
from core.keys.domain import Caller
from core.keys.store import InvalidKeyError
from core.problems import ProblemError
from core.throttle.guesses import TooManyGuessesError

_THREADS = 2


class LoopCallers:
    """The callers of one event loop; many requests with one key ask the database once."""

    def __init__(
        self, *, deadline: float, most: int, callers: Callers = CALLERS, find: Find = store.find_from_thread
    ) -> None:
        """Make them.

        Args:
            deadline: seconds that a request waits for the database to say whose key it has.
            most: how many keys may wait for that.
            callers: what is remembered of keys.
            find: asks the database.
        """
        self._deadline = deadline
        self._most = most
        self._callers = callers
        self._find = find
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="keys")
        self._asked: dict[str, asyncio.Future[Caller]] = {}

    async def __call__(self, authorization: bytes, address: str) -> Caller | None:
        """See issuance.issuer.FindCaller."""
        text = domain.bearer(authorization.decode("latin-1"))
        if text is None:
            return None
        try:
            return self._callers.recall(text) or await self._look_up(text, address)
        except InvalidKeyError:
            raise ProblemError(problems.UNAUTHORIZED) from None
        except TooManyGuessesError as error:
            raise too_many(error) from None
        except (DatabaseError, TimeoutError):
            raise ProblemError(problems.DATABASE_UNAVAILABLE) from None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, text: str, address: str) -> Caller:
        asked = self._asked.get(text)
        if asked is None:
            if len(self._asked) >= self._most:
                raise ProblemError(problems.OVERLOADED)
            loop = asyncio.get_running_loop()
            look_up = partial(self._callers.look_up, text, self._find, address=address)
            asked = loop.run_in_executor(self._threads, look_up)
            self._asked[text] = asked
            asked.add_done_callback(lambda done: self._settle(text, done))
        done, _ = await asyncio.wait((asked,), timeout=self._deadline)  # which leaves it to the others that wait
        if not done:
            raise TimeoutError
        return asked.result()

    def _settle(self, text: str, done: asyncio.Future[Caller]) -> None:
        del self._asked[text]
        if not done.cancelled():
            done.exception()  # seen, even if nobody waits any more; else asyncio would log it
