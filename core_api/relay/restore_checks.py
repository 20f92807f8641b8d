"""Compares the database with what a shard has published, before anything new is published there.

All shards that are new to a relay are looked at together. If that fails or takes long, each is
looked at by itself, so that a partition which does not answer keeps only its own shard waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final

from core_api.kafka.topics import BrokerError
from core_api.relay.held_shard import HeldShard
from core_api.relay.ports import RestoreGuard

TOGETHER_WITHIN_S: Final = 5.0
_ALONE_WITHIN_S: Final = 30.0


class RestoreChecks:
    """The checks that are under way.

    Args:
        guard: makes them.
        clock: seconds that only go forward.
        found: called whenever one has come to its end.
    """

    def __init__(
        self, guard: RestoreGuard, clock: Callable[[], float], found: Callable[[], None]
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._found = found
        self._under_way: dict[asyncio.Task[None], dict[int, HeldShard]] = {}
        self._alone: set[int] = set()

    def look(self, held: Mapping[int, HeldShard]) -> None:
        """Take in what has been found out, and begin to look at what is new.

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
        together = {shard: one for shard, one in new.items() if shard not in self._alone}
        if together:
            self._begin(together, TOGETHER_WITHIN_S)
        for shard in new.keys() - together.keys():
            self._begin({shard: new[shard]}, _ALONE_WITHIN_S)

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._under_way)
        self._under_way.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, shards: dict[int, HeldShard], within_s: float) -> None:
        task = asyncio.ensure_future(self._check(list(shards), within_s))
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
                self._alone.discard(shard)
        elif not isinstance(error, BrokerError):
            raise error
        elif len(shards) > 1:
            self._alone.update(shards)
        else:
            for held in shards.values():
                held.fail(self._clock(), str(error))
