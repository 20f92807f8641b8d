"""Applies the records of batches: in order within a key, several keys at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from core_api.errors import UnavailableError
from core_api.http.tracing import traced
from core_api.ingest.inbound_commands import InboundRecord
from server_common.short_tasks import loud_if_cancelled

Apply = Callable[[InboundRecord], Awaitable[None]]


def by_key(records: Sequence[InboundRecord]) -> list[list[InboundRecord]]:
    """The records of one partition by key: in order within a key, in any order among keys.

    Records without a key all stay in order, as it is not known which belong together.
    """
    found: dict[bytes | None, list[InboundRecord]] = {}
    for record in records:
        found.setdefault(record.key, []).append(record)
    return list(found.values())


async def apply_by_key(records: Sequence[InboundRecord], keys_at_once: int, apply: Apply) -> None:
    """Apply all records, each as a part of the trace that it names.

    Args:
        records: a batch of one partition.
        keys_at_once: how many keys are processed at the same time; one record of each.
        apply: applies one; what it raises ends the others.
    """
    room = asyncio.Semaphore(keys_at_once)

    async def in_order(of_key: Sequence[InboundRecord]) -> None:
        async with room:
            await _in_order(of_key, apply)

    async with asyncio.TaskGroup() as group:
        for of_key in by_key(records):
            group.create_task(in_order(of_key))


class Lanes:
    """Keys whose records stay in order also from one batch to the next, so that a batch may begin
    while the one before is still under way."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, bytes | None], asyncio.Task[None]] = {}

    async def apply(self, records: Sequence[InboundRecord], apply: Apply) -> None:
        """Apply all records, each as a part of the trace that it names.

        Args:
            records: a batch of one partition, read behind the batches before.
            apply: applies one, and limits how many are applied at once; an error that it raises
                ends the others, and the batches whose records wait for these.

        Raises:
            UnavailableError: a batch before this one was cancelled.
        """
        async with asyncio.TaskGroup() as group:
            for of_key in by_key(records):
                lane = of_key[0].partition, of_key[0].key
                before = self._last.get(lane)
                task = group.create_task(_behind(before, of_key, apply))
                self._last[lane] = task
                task.add_done_callback(partial(self._ended, lane))

    def _ended(self, lane: tuple[int, bytes | None], done: asyncio.Task[None]) -> None:
        if self._last.get(lane) is done:
            del self._last[lane]


async def _behind(
    before: asyncio.Task[None] | None, of_key: Sequence[InboundRecord], apply: Apply
) -> None:
    if before is not None:
        await asyncio.wait([before])
        if before.cancelled() or before.exception() is not None:
            raise UnavailableError("the records before it were cancelled")
    await _in_order(of_key, apply)


async def _in_order(of_key: Sequence[InboundRecord], apply: Apply) -> None:
    # A task group takes a task that was cancelled for one that is done: its records would be lost.
    with loud_if_cancelled():
        for record in of_key:
            with traced(record.headers):
                await apply(record)
