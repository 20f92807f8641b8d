"""A command that was read is applied or lies aside before its offset may be committed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from core_api.errors import BadRequestError
from core_api.ingest.applier import Applier
from core_api.ingest.inbound_commands import InboundRecord
from core_api.ingest.metrics import IngestMetrics
from core_api.orders.answers import Written

ORDER = {
    "store_id": "1", "currency": "KRW", "items": [{"name": "a", "quantity": 1, "unit_price": 1}],
}  # fmt: skip


def record(offset: int) -> InboundRecord:
    value = {"command": "place", "idempotency_key": f"k{offset}", "subject": "p", "body": ORDER}
    return InboundRecord("in", 0, offset, 1000, b"1", json.dumps(value).encode(), [])


class World:
    """A write path and a dead letter topic, which raise what they are told to first."""

    def __init__(
        self, errors: Sequence[BaseException], sends: Sequence[BaseException] = ()
    ) -> None:
        self.errors = list(errors)
        self.sends = list(sends)
        self.applied: list[str] = []
        self.buried: list[int] = []

    async def place(self, _caller: Any, _command: Any, idempotency: Any) -> Written:
        if self.errors:
            raise self.errors.pop(0)
        self.applied.append(idempotency.key)
        return Written(201, "id", b"{}", 1, "0E1")

    async def send(self, one: InboundRecord, _headers: Any) -> None:
        if self.sends:
            raise self.sends.pop(0)
        self.buried.append(one.offset)

    def applier(self) -> Applier:
        path: Any = self
        metrics = IngestMetrics(CollectorRegistry())
        return Applier(path, path, lambda _seconds: asyncio.sleep(0), metrics)


async def test_a_command_whose_writing_a_library_cancels_is_tried_again() -> None:
    world = World([asyncio.CancelledError()])
    await world.applier().apply([record(1), record(2)])
    assert world.applied == ["k1", "k2"]


async def test_a_dead_letter_whose_sending_a_library_cancels_is_sent_again() -> None:
    world = World([BadRequestError("no")], [asyncio.CancelledError()])
    await world.applier().apply([record(1), record(2)])
    assert (world.buried, world.applied) == ([1], ["k2"])


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DataCorruptedError("missing chunk number 0 for toast value 16999"),
        asyncpg.InternalServerError("invalid memory alloc request size 18446744073709551613"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
    ids=["damaged", "lengths", "no text"],
)
async def test_a_command_about_an_order_that_postgres_cannot_give_stops_none_behind_it(
    error: Exception,
) -> None:
    world = World([error] * 3)
    async with asyncio.timeout(10):
        await world.applier().apply([record(1)])
        world.errors.clear()
        await world.applier().apply([record(2)])
    assert (world.buried, world.applied) == ([1], ["k2"])


async def test_a_batch_that_is_cancelled_is_not_dealt_with() -> None:
    world = World([])
    waits = asyncio.Event()

    async def place(*_arguments: Any) -> Written:
        waits.set()
        await asyncio.Event().wait()
        raise AssertionError

    world.place = place  # type: ignore[assignment]
    applying = asyncio.create_task(world.applier().apply([record(1)]))
    await waits.wait()
    applying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await applying
    assert world.buried == []
