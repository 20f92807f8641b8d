"""Replays recorded orders through a running system: places each when it is due, does its steps."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from client_sdk.client.producer import OrderProducer
from client_sdk.replay.plan import Planned, ReplayError, ReplaySpeed

CURRENCY: Final = "GBP"
_PROGRESS_EVERY: Final = 50


@dataclass(slots=True)
class Summary:
    """The result of a replay."""

    orders: int = 0
    events: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        rate = self.events / self.seconds if self.seconds else 0.0
        return (
            f"{self.orders} orders, {self.events} events in {self.seconds:.1f} s "
            f"({rate:.0f} events/s)"
        )


async def replay(
    planned: list[Planned],
    producer: OrderProducer,
    pace: ReplaySpeed,
    concurrency: int,
    progress: Callable[[str], None],
) -> Summary:
    """Replay a plan with at most `concurrency` orders at the same time.

    Args:
        planned: the orders, with their times.
        producer: sends the orders.
        pace: the speed.
        concurrency: the most orders at the same time.
        progress: called with a line of text now and then.

    Raises:
        RefusedError, UnauthorizedError, UnreachableError: as `OrderProducer`; the first one.
    """
    summary = Summary()
    start = time.monotonic()
    room = asyncio.Semaphore(concurrency)

    async def one(item: Planned) -> None:
        try:
            made = await live(item, producer)
            summary.events += made
            summary.orders += 1
            if summary.orders % _PROGRESS_EVERY == 0:
                progress(f"{summary.orders} of {len(planned)} orders")
        finally:
            room.release()

    try:
        async with asyncio.TaskGroup() as group:
            for item in planned:
                due = pace.due(planned[0].order.at, item.order.at)
                await asyncio.sleep(max(0.0, start + due - time.monotonic()))
                await room.acquire()
                group.create_task(one(item))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    summary.seconds = time.monotonic() - start
    return summary


async def live(item: Planned, producer: OrderProducer) -> int:
    """Place one order and do all its steps. Returns the number of events."""
    order = await producer.place(
        item.store_id,
        item.order.items,
        currency=CURRENCY,
        table_id=item.table_id,
        reference=item.order.number,
    )
    events = 1
    if item.change_note is not None:
        order = await producer.change(order.id, note=item.change_note)
        events += 1
    for step in item.steps:
        order = await producer.transition(order.id, step)
        events += 1
    return events


def read_lines(path: Path) -> list[str]:
    """The lines of a CSV file, gzipped or not.

    Raises:
        ReplayError: it cannot be read.
    """
    try:
        raw = path.read_bytes()
        text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        return text.decode("utf-8", "replace").splitlines()
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise ReplayError(f"cannot read {path}: {error}") from error
