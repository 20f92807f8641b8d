"""What cannot be done now is tried again: a transaction that meets a lock, a look at something."""

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
    """What the work gives, which is one transaction.

    Raises:
        LockedError: somebody holds a lock for seconds; and whatever else the work raises.
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
    """Look for ever; what is not there now is tried again with the next look.

    Args:
        look: looks once.
        every_s: seconds between two looks.
        waits: the name of the line in the log that says that it could not look.
        absent: what it raises where something does not answer.
    """
    while True:
        try:
            await look()
        except absent as error:
            _log.warning(waits, reason=str(error))
        await asyncio.sleep(every_s)
