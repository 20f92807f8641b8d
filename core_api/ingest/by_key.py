"""Applies the records of a batch: in order within a key, several keys at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from core_api.http.tracing import traced
from core_api.ingest.inbound_commands import InboundRecord


def by_key(records: Sequence[InboundRecord]) -> list[list[InboundRecord]]:
    """The records of one partition by key: in order within a key, free among keys.

    Records without a key stay in order, all of them: nothing is known about what belongs together.
    """
    found: dict[bytes | None, list[InboundRecord]] = {}
    for record in records:
        found.setdefault(record.key, []).append(record)
    return list(found.values())


async def apply_by_key(
    records: Sequence[InboundRecord],
    keys_at_once: int,
    apply: Callable[[InboundRecord], Awaitable[None]],
) -> None:
    """Apply all records, each as a part of the trace that it names.

    Args:
        records: a batch of one partition.
        keys_at_once: of how many keys one is applied at the same time.
        apply: applies one; what it raises ends the others.
    """
    room = asyncio.Semaphore(keys_at_once)

    async def in_order(of_key: Sequence[InboundRecord]) -> None:
        async with room:
            for record in of_key:
                with traced(record.headers):
                    await apply(record)

    async with asyncio.TaskGroup() as group:
        for of_key in by_key(records):
            group.create_task(in_order(of_key))
