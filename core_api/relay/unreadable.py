"""Reads the outbox around rows that Postgres cannot read, such as one damaged on its disk.

One of them makes the read of all fail. So each shard is then read separately, up to that row only;
once it is the first of its shard, it is read without its event, with the fault instead. It is then
announced and set aside like an event that Kafka refuses, and the shard goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from core_api.errors import UnavailableError, UnreadableRowError
from core_api.relay.cycle import OutboxReading

if TYPE_CHECKING:
    from core_api.relay.ports import OutboxPort


async def read_around(
    outbox: OutboxPort, fences: Mapping[int, int], rows_per_shard: int
) -> OutboxReading | None:
    """Read as `OutboxPort.read` does. Of a shard with an unreadable row: the rows before it, or, if
    there are none, that row without its event.

    Args:
        outbox: where the rows are.
        fences: by shard, the fence of our lease.
        rows_per_shard: how many of each shard at most.

    Returns:
        What was found; None: no lease holds, or the unreadable row is gone by now.

    Raises:
        UnavailableError: Postgres does not answer, or has begun a new epoch meanwhile.
    """
    found: OutboxReading | None = None
    for shard, fence in fences.items():
        one = await _read_shard(outbox, {shard: fence}, rows_per_shard)
        if one is None or found is None:
            found = found or one
            continue
        if one.epoch != found.epoch:
            raise UnavailableError("a new epoch was begun while the outbox was read")
        found = replace(
            found,
            # Each was read at that time or later, so all earlier commits were seen.
            unix_s=min(found.unix_s, one.unix_s),
            oldest_age_s=max(found.oldest_age_s, one.oldest_age_s),
            shards={**found.shards, **one.shards},
            cut_short=found.cut_short | one.cut_short,
        )
    return found


async def _read_shard(
    outbox: OutboxPort, fence: Mapping[int, int], rows_per_shard: int
) -> OutboxReading | None:
    most = rows_per_shard
    while True:
        try:
            found = await outbox.read(fence, most)
        except UnreadableRowError as error:
            if most == 1:
                found = await outbox.name_first(fence, str(error))
                break
            most //= 2
        else:
            if most == rows_per_shard:
                return found
            break
    return None if found is None else replace(found, cut_short=frozenset(fence))
