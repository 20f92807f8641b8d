"""A transaction that meets a lock for longer than a moment is tried again, for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from core_api.errors import ConflictError, LockedError

T = TypeVar("T")

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
