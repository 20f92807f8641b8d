"""Retries work that fails because Postgres or Kafka does not answer, until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from core_api.errors import ConflictError, LockedError, OverloadedError, UnavailableError
from server_common.backoff import next_wait
from server_common.logs import get_logger
from server_common.supervision import is_being_cancelled

_log = get_logger()

T = TypeVar("T")

FIRST_RETRY_S: Final = 0.05
LONGEST_RETRY_S: Final = 5.0
TRANSIENT: Final = (UnavailableError, OverloadedError, ConflictError)


class Patience:
    """Retries actions.

    Args:
        sleep: waits for some seconds before another try.
        retried: called for each try that failed.
    """

    def __init__(
        self, sleep: Callable[[float], Awaitable[None]], retried: Callable[[], None]
    ) -> None:
        self._sleep = sleep
        self._retried = retried
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """The fault that it waits out; None: it is not waiting.

        A locked row is not such a fault: it concerns one record, and the others go on.
        """
        return self._trouble

    async def until_done(self, action: Callable[[], Awaitable[T]]) -> T:
        """Try until it works or fails for a reason that lies in the record."""
        pause = 0.0
        while True:
            try:
                result = await _really(action)
            except TRANSIENT as error:
                if not isinstance(error, LockedError):
                    if self._trouble != str(error):
                        _log.warning("ingest_waits", reason=str(error))
                    self._trouble = str(error)
                self._retried()
                pause = next_wait(pause, FIRST_RETRY_S, LONGEST_RETRY_S)
                await self._sleep(pause)
            else:
                self._trouble = None
                return result


async def _really(action: Callable[[], Awaitable[T]]) -> T:
    """The result of the action.

    Raises:
        UnavailableError: a library has cancelled the action, so it may not be done.
    """
    try:
        return await action()
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        raise UnavailableError("a library cancelled it") from error
