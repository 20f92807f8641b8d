"""Wakes waiting syncs: one reader per process, no connection and no query per waiter.

A commit in this process wakes its waiters at once. Commits elsewhere are found by one query over
all waited-for heads, asked when another process hints at a commit and at least every `interval_s`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from core_api.errors import OverloadedError, UnavailableError


class _Waiter:
    __slots__ = ("future", "known")

    def __init__(self, known: Mapping[str, int], future: asyncio.Future[None]) -> None:
        self.known = known
        self.future = future


class LongPolls:
    """The requests that wait for events, and who wakes them.

    Args:
        moved: tells which channels have gone past the seqs given for them.
        interval_s: how often to look when nobody hints.
        limit: how many requests may wait at once.
    """

    def __init__(
        self,
        moved: Callable[[dict[str, int]], Awaitable[list[str]]],
        interval_s: float,
        limit: int,
    ) -> None:
        self._moved = moved
        self._interval_s = interval_s
        self._limit = limit
        self._waiters: dict[str, set[_Waiter]] = {}
        self._count = 0
        self._hinted = asyncio.Event()
        self.stopping = False
        """Whether `stop` was called: nobody waits any more."""

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._count

    async def wait(self, known: Mapping[str, int], seconds: float) -> bool:
        """Wait until one of the channels has an event after the seq given; whether it has.

        Raises:
            OverloadedError: `most` requests wait already.
        """
        if self.stopping:
            return False
        if self._count >= self._limit:
            raise OverloadedError("too many requests wait already: ask again without wait", 2.0)
        waiter = _Waiter(known, asyncio.get_running_loop().create_future())
        self._count += 1
        for channel in known:
            self._waiters.setdefault(channel, set()).add(waiter)
        # An event may have come between the caller's read and now.
        self._hinted.set()
        try:
            async with asyncio.timeout(seconds):
                await waiter.future
        except TimeoutError:
            return False
        finally:
            self._forget(waiter)
        return True

    def hint(self) -> None:
        """Look for new events now, because something was committed somewhere."""
        self._hinted.set()

    def wake(self, channels: Iterable[str]) -> None:
        """Wake those who wait for these channels."""
        for channel in channels:
            for waiter in self._waiters.get(channel, ()):
                if not waiter.future.done():
                    waiter.future.set_result(None)

    def stop(self) -> None:
        """Wake all waiters and let nobody wait from now on: the process is about to end."""
        self.stopping = True
        self.wake(list(self._waiters))

    async def run(self) -> None:
        """Look for commits of other processes, for ever."""
        while True:
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._hinted.wait()
            except TimeoutError:
                pass
            self._hinted.clear()
            if asked := self._lowest():
                try:
                    self._wake_behind(asked, await self._moved(asked))
                except UnavailableError:
                    # The waiters' time runs out, and their clients meet the error themselves.
                    await asyncio.sleep(self._interval_s)

    def _lowest(self) -> dict[str, int]:
        """The lowest seq that anybody waits beyond, by channel."""
        lowest: dict[str, int] = {}
        for channel, waiters in self._waiters.items():
            known = [one.known[channel] for one in waiters if not one.future.done()]
            if known:
                lowest[channel] = min(known)
        return lowest

    def _wake_behind(self, asked: Mapping[str, int], moved: Iterable[str]) -> None:
        """Wake those for whom it is certain that their channels are beyond what they know. Of the
        others, who may have come since the database was asked, it is asked again."""
        for channel in moved:
            for waiter in self._waiters.get(channel, ()):
                if waiter.future.done():
                    continue
                if waiter.known[channel] <= asked[channel]:
                    waiter.future.set_result(None)
                else:
                    self._hinted.set()

    def _forget(self, waiter: _Waiter) -> None:
        self._count -= 1
        for channel in waiter.known:
            waiters = self._waiters[channel]
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[channel]
