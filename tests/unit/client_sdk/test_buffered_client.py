"""The shell of the buffered start: generations, and no more in memory than its limits say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from client_sdk import BufferedClient, BufferedSettings, BufferedStartError, OrderEvent
from client_sdk.contract.sync import SyncResponse
from client_sdk.machine.sequencing import Change
from tests.unit.client_sdk.samples import channel_sync, event, sync_response

CHANNEL = "store:12"
AT_ONCE = BufferedSettings(overlap_window=0.0)


class World:
    """A transport and a Core; what they do is said by a test."""

    def __init__(self) -> None:
        self.pushed: asyncio.Queue[OrderEvent | Exception] = asyncio.Queue()
        self.connects: list[Exception | asyncio.Event | None] = []
        self.late: Exception | None = None
        """What a connect raises that was let go."""
        self.log: list[OrderEvent] = []
        self.asked: list[int] = []

    async def connect(self) -> None:
        step = self.connects.pop(0) if self.connects else None
        if isinstance(step, asyncio.Event):
            while not step.is_set():  # a library that does not let itself be cancelled
                try:
                    await step.wait()
                except asyncio.CancelledError:
                    continue
            if self.late is not None:
                raise self.late
        elif step is not None:
            raise step

    async def subscribe(self, channels: Sequence[str]) -> None:
        assert channels == [CHANNEL]

    async def messages(self) -> AsyncIterator[OrderEvent]:
        while True:
            one = await self.pushed.get()
            if isinstance(one, Exception):
                raise one
            yield one

    async def fetch(self, after: Mapping[str, int | None], _epoch: str | None) -> SyncResponse:
        seq = after[CHANNEL] or 0
        self.asked.append(seq)
        return sync_response(channel_sync(self.log[seq:], head=len(self.log)))

    def commit(self, count: int, *, push: bool = True) -> None:
        for _ in range(count):
            self.log.append(event(len(self.log) + 1))
            if push:
                self.pushed.put_nowait(self.log[-1])

    def client(self, settings: BufferedSettings = AT_ONCE, **more: Any) -> BufferedClient:
        return BufferedClient(self, self.fetch, {CHANNEL: 0}, "e", settings, **more)


async def take(changes: AsyncIterator[Change], count: int) -> list[int]:
    seqs = []
    for _ in range(count):
        change = await anext(changes)
        assert isinstance(change, OrderEvent)
        seqs.append(change.seq)
    return seqs


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


async def test_a_start_after_a_reset_says_how_the_new_one_went() -> None:
    world = World()
    world.commit(2, push=False)
    world.connects = [OSError("refused")]
    client = world.client()
    first = await client.start()
    assert (first.success, first.error) == (False, "refused")
    with pytest.raises(BufferedStartError, match="refused"):
        await anext(client.changes())
    client.machine.reset()
    second = await client.start()
    assert (second.success, second.error) == (True, None)
    assert await take(client.changes(), 2) == [1, 2]
    await client.close()


async def test_changes_that_nobody_took_come_again_once_after_a_reset() -> None:
    world = World()
    world.commit(3, push=False)
    client = world.client()
    await client.start()
    client.machine.reset()
    await client.start()
    world.commit(1)
    assert await take(client.changes(), 4) == [1, 2, 3, 4]
    await client.close()


async def test_what_is_left_of_an_old_start_says_nothing_to_the_new_one() -> None:
    world = World()
    let_go = asyncio.Event()
    world.connects = [let_go, None]
    client = world.client()
    old = asyncio.create_task(client.start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    client.machine.reset()
    assert (await client.start()).success
    with pytest.raises(BufferedStartError, match="restarted"):
        await old
    before = client.machine.state
    let_go.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert client.machine.state is before
    world.commit(1)
    assert await take(client.changes(), 1) == [1]
    await client.close()


async def test_an_old_start_that_fails_late_does_not_end_the_new_one() -> None:
    world = World()
    let_go = asyncio.Event()
    world.connects, world.late = [let_go, None], OSError("too late")
    client = world.client()
    old = asyncio.create_task(client.start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    client.machine.reset()
    assert (await client.start()).success
    with pytest.raises(BufferedStartError, match="restarted"):
        await old
    let_go.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    world.commit(1)
    assert await take(client.changes(), 1) == [1]
    await client.close()


async def test_a_start_that_has_begun_is_not_begun_again() -> None:
    client = World().client()
    await client.start()
    with pytest.raises(BufferedStartError, match="reset"):
        await client.start()
    await client.close()


async def test_a_flood_that_nobody_reads_is_bounded_and_comes_by_a_sync_later() -> None:
    world = World()
    warned: list[str] = []
    behind = asyncio.Event()

    def warn(text: str) -> None:
        warned.append(text)
        behind.set()

    client = world.client(BufferedSettings(overlap_window=0.0, max_pending=10), warn=warn)
    assert (await client.start()).success
    world.commit(500)
    await behind.wait()
    while not world.pushed.empty():  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert len(client._changes) == 10
    assert await take(client.changes(), 500) == list(range(1, 501))
    assert len(warned) == 1
    assert len(world.asked) == 2
    await client.close()


async def test_a_lost_connection_ends_the_changes_after_those_that_came() -> None:
    world = World()
    client = world.client()
    await client.start()
    world.commit(1)
    world.pushed.put_nowait(ConnectionError("gone"))
    changes = client.changes()
    assert await take(changes, 1) == [1]
    with pytest.raises(BufferedStartError, match="gone"):
        await anext(changes)
    await client.close()


async def test_it_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    client = World().client()
    await client.start()
    await client.close()
    assert asyncio.all_tasks() == before
