"""Retries: of a transaction that meets a lock, and of periodic work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from core_api.errors import ConflictError, LockedError, UnavailableError
from server_common.logs import get_logger

T = TypeVar("T")
_log = get_logger()

_TRIES: Final = 20
_PAUSE_S: Final = 0.05


async def despite_locks(work: Callable[[], Awaitable[T]]) -> T:
    """Run the work, which is one transaction, with retries after locks; its result.

    Raises:
        LockedError: a lock is held for seconds. Other errors of the work pass through.
    """
    for _ in range(_TRIES - 1):
        try:
            return await work()
        except (LockedError, ConflictError):
            await asyncio.sleep(_PAUSE_S)
    return await work()


async def keep_looking(
    look: Callable[[], Awaitable[object]],
    every_s: float,
    waits: str,
    absent: type[Exception] | tuple[type[Exception], ...] = UnavailableError,
) -> None:
    """Call `look` periodically, for ever; a failed call is retried after the usual interval.

    Args:
        look: does the work once.
        every_s: seconds between two calls.
        waits: the log event of a failed call.
        absent: the errors that mean that something does not answer.
    """
    while True:
        try:
            await look()
        except absent as error:
            _log.warning(waits, reason=str(error))
        await asyncio.sleep(every_s)
