"""Compares the database with what a shard has published, before anything new is published there.

All shards that are new to a relay are checked together. A check that fails or takes long is
repeated for parts of its shards, down to single ones, so that a partition which does not answer
delays only its own shard. The number of concurrent checks is limited: each has its own connections,
and the checks must not overload a busy broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from core_api.kafka.topics import BrokerError
from core_api.relay.held_shard import HeldShard
from core_api.relay.ports import RestoreGuard
from server_common.short_tasks import short_task

TOGETHER_WITHIN_S: Final = 5.0
_ALONE_WITHIN_S: Final = 30.0
PARTS: Final = 8
"""Into how many parts the shards of a failed check are split."""
LOOKS_AT_ONCE: Final = 16


class RestoreChecks:
    """The checks in progress.

    Args:
        guard: makes them.
        clock: seconds that only go forward.
        found: called whenever a check has ended.
    """

    def __init__(
        self, guard: RestoreGuard, clock: Callable[[], float], found: Callable[[], None]
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._found = found
        self._under_way: dict[asyncio.Task[None], dict[int, HeldShard]] = {}
        self._at_most: dict[int, int] = {}
        """With how many shards at most a shard is checked together; missing here: with all."""

    def look(self, held: Mapping[int, HeldShard]) -> None:
        """Take the results of ended checks, and begin checks of new shards.

        Raises:
            UnavailableError: Postgres does not answer.
            SettingsError: another installation writes to the topic.
        """
        for task in [task for task in self._under_way if task.done()]:
            self._take_in(task, self._under_way.pop(task))
        now = self._clock()
        looking = {id(one) for of_it in self._under_way.values() for one in of_it.values()}
        new = {
            shard: one
            for shard, one in held.items()
            if not one.is_proven and id(one) not in looking and now >= one.rest_until
        }
        groups: dict[int, list[int]] = {}
        # Those that have waited longest come first, so that many hanging ones do not starve others.
        for shard in sorted(new, key=lambda one: new[one].rest_until):
            groups.setdefault(self._at_most.get(shard, len(new)), []).append(shard)
        # Large checks first: they settle the most shards.
        for size in sorted(groups, reverse=True):
            for part in _parts(groups[size], size):
                if len(self._under_way) == LOOKS_AT_ONCE:
                    return
                within_s = _ALONE_WITHIN_S if size == 1 else TOGETHER_WITHIN_S
                self._begin({shard: new[shard] for shard in part}, within_s)

    async def close(self) -> None:
        """Cancel the checks in progress."""
        tasks = list(self._under_way)
        self._under_way.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, shards: dict[int, HeldShard], within_s: float) -> None:
        task = short_task(self._check(list(shards), within_s))
        self._under_way[task] = shards
        task.add_done_callback(lambda _: self._found())

    async def _check(self, shards: Collection[int], within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._guard.check_published(list(shards))
        except TimeoutError as error:
            raise BrokerError(f"Kafka has not told within {within_s:g} s what it has") from error

    def _take_in(self, task: asyncio.Task[None], shards: Mapping[int, HeldShard]) -> None:
        error = task.exception()
        if error is None:
            for shard, held in shards.items():
                held.is_proven = True
                held.recover()
                self._at_most.pop(shard, None)
        elif not isinstance(error, BrokerError):
            raise error
        elif len(shards) > 1:
            self._at_most.update(dict.fromkeys(shards, -(-len(shards) // PARTS)))
        else:
            for shard, held in shards.items():
                # From now on in smaller checks, however many shards its first check had.
                self._at_most[shard] = 1
                held.fail(self._clock(), str(error))


def _parts(shards: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(shards), size):
        yield shards[start : start + size]
