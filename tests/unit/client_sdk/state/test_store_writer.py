"""What the store's writer says is kept is on the disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from client_sdk.errors import StateStoreError
from client_sdk.shared_state.store_writer import StoreWriter
from client_sdk.state.records import PutCounters, Write
from client_sdk.state.store import MemoryState


class SlowState(MemoryState):
    """A disk that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def write(self, writes: Sequence[Write]) -> None:
        self.begun.set()
        self.may_end.wait()
        super().write(writes)


class FullState(MemoryState):
    """A disk that has no room at first."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    def write(self, writes: Sequence[Write]) -> None:
        self.tries += 1
        if self.tries == 1:
            raise StateStoreError("the disk is full")
        super().write(writes)


async def test_what_could_not_be_written_is_tried_again_though_nothing_new_comes() -> None:
    writer = StoreWriter(store := FullState())
    await writer.open("a")
    writer.put([PutCounters("c", 1, 1, None)])
    with pytest.raises(StateStoreError):
        await writer.run()
    again = asyncio.create_task(writer.run())
    async with asyncio.timeout(10):
        while not writer.is_clean:  # noqa: ASYNC110 (nobody is told)
            await asyncio.sleep(0)
    assert store.tries == 2
    again.cancel()
    await writer.close()


async def test_it_is_not_clean_while_what_was_put_is_still_being_written() -> None:
    """Else an edit could go out under a number that a crash would give to another one."""
    store = SlowState()
    writer = StoreWriter(store)
    await writer.open("a")
    writer.put([PutCounters("c", 1, 1, None)])
    committing = asyncio.create_task(writer.commit())
    await asyncio.to_thread(store.begun.wait)
    assert not writer.is_clean
    store.may_end.set()
    await committing
    assert writer.is_clean
    await writer.close()


async def test_a_write_that_fails_after_its_caller_is_gone_is_told_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Both(SlowState):
        """A slow disk that has no room at first."""

        full = True

        def write(self, writes: Sequence[Write]) -> None:
            super().write(writes)
            if self.full:
                self.full = False
                raise StateStoreError("the disk is full")

    store = Both()
    writer = StoreWriter(store)
    await writer.open("a")
    writer.put([PutCounters("c", 1, 1, None)])
    asking = asyncio.create_task(writer.commit())
    await asyncio.to_thread(store.begun.wait)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    store.may_end.set()
    running = asyncio.create_task(writer.run())
    async with asyncio.timeout(10):
        while store.full or not writer.is_clean:  # noqa: ASYNC110 (nobody is told)
            await asyncio.sleep(0)
    assert "the write to the store failed" in caplog.text
    running.cancel()
    await writer.close()
