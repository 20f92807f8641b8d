"""Large answers of Fetch Sync: one at a time for each subject, few in all, each at a fair pace.

An answer that fits a shared read is never counted here. A larger one costs memory and time in
proportion to its bytes, so it waits for its turn: after the same subject's others, and then after a
few of all subjects'.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from core_api.errors import RateLimitedError
from server_common.limits import (
    LARGE_ANSWER_BURST_BYTES,
    LARGE_ANSWER_BYTES_PER_S,
    LARGE_ANSWERS_AT_ONCE,
    LARGE_ANSWERS_WAITING,
)

LONGEST_PAUSE_S: Final = 5.0
"""The longest pause in seconds; a subject that would wait longer is told to retry later."""
_MAX_SUBJECTS: Final = 10_000


class FairShare:
    """How many bytes each subject got lately: `burst` at once, `per_s` on average. Pure.

    Args:
        per_s: bytes per second.
        burst: bytes at once.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst_s = burst / per_s
        self._even_at: dict[str, float] = {}

    def spend(self, subject: str, size: int, now: float) -> None:
        """Count so many bytes that the subject was given.

        Args:
            subject: whose share it is.
            size: how many bytes.
            now: seconds that only go forward.
        """
        if len(self._even_at) >= _MAX_SUBJECTS:
            self._even_at = {who: at for who, at in self._even_at.items() if at > now}
        self._even_at[subject] = max(now, self._even_at.get(subject, now)) + size / self._per_s

    def pause_s(self, subject: str, now: float) -> float:
        """How long until the subject may be given more, in seconds; 0: at once."""
        return max(0.0, self._even_at.get(subject, now) - now - self._burst_s)


class _SubjectQueue:
    """One subject's large answers."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.asked = 0


class LargeAnswers:
    """Gives turns.

    Args:
        now: seconds that only go forward.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._share = FairShare(LARGE_ANSWER_BYTES_PER_S, LARGE_ANSWER_BURST_BYTES)
        self._room = asyncio.Semaphore(LARGE_ANSWERS_AT_ONCE)
        self._queues: dict[str, _SubjectQueue] = {}

    @asynccontextmanager
    async def turn(self, subject: str) -> AsyncIterator[None]:
        """Wait for the subject's turn, and have it for as long as the block runs.

        Raises:
            RateLimitedError: too many of the subject's wait, or it got too many bytes lately.
        """
        queue = self._queues.setdefault(subject, _SubjectQueue())
        if queue.asked > LARGE_ANSWERS_WAITING:
            raise RateLimitedError(
                f"{LARGE_ANSWERS_WAITING} large answers wait for this token's subject already: "
                "ask for one after the other",
                1.0,
            )
        queue.asked += 1
        try:
            async with queue.lock:
                pause_s = self._share.pause_s(subject, self._now())
                if pause_s > LONGEST_PAUSE_S:
                    raise RateLimitedError(
                        "this token's subject has had more large answers than its share: "
                        "store the cursor, and ask only for what is new",
                        pause_s,
                    )
                if pause_s:
                    await self._sleep(pause_s)
                async with self._room:
                    yield
        finally:
            queue.asked -= 1
            if not queue.asked:
                del self._queues[subject]

    def spent(self, subject: str, size: int) -> None:
        """The subject was given so many bytes in its turn."""
        self._share.spend(subject, size, self._now())
