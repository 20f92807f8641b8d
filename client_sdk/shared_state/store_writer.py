"""Writes to the store, in order, in a separate thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from client_sdk.state.records import Stored, Write
from client_sdk.state.store import StateStore
from client_sdk.supervision import to_its_end

R = TypeVar("R")


class StoreWriter:
    """Writes to one client's store from its event loop.

    Args:
        store: where edits and documents are kept; used by one thread of this writer only.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="yabam-state")
        self._lock = asyncio.Lock()
        self._waiting: list[Write] = []
        self._news = asyncio.Event()

    @property
    def is_clean(self) -> bool:
        """Whether everything is stored: no write waits or is running."""
        return not self._waiting and not self._lock.locked()

    async def open(self, subject: str) -> Stored:
        """Open the store and return the subject's records; raises as `StateStore.open`."""
        return await self._run(lambda: self._store.open(subject))

    def put(self, writes: Sequence[Write]) -> None:
        """Write these soon, after all earlier ones."""
        if writes:
            self._waiting += writes
            self._news.set()

    async def commit(self, writes: Sequence[Write] = ()) -> None:
        """Return once these and all earlier writes are stored.

        Raises:
            StateStoreError: these are not stored; earlier writes are tried again.
        """
        # A cancelled caller leaves the write running: it completes before the next one.
        await to_its_end("write to the store", self._commit(list(writes)))

    async def run(self) -> None:
        """Do the writes for as long as the client lives."""
        while True:
            if not self._waiting:  # otherwise the write failed and is tried again
                await self._news.wait()
            self._news.clear()
            await self.commit()

    async def close(self) -> None:
        """Do the remaining writes and close the store."""
        try:
            await self.commit()
        finally:
            await self._run(self._store.close)
            self._thread.shutdown(wait=False)

    async def _commit(self, writes: list[Write]) -> None:
        async with self._lock:
            before, self._waiting = self._waiting, []
            if not before and not writes:
                return
            try:
                await self._run(lambda: self._store.write([*before, *writes]))
            except BaseException:
                self._waiting = [*before, *self._waiting]
                self._news.set()  # whoever has asked for the write may be gone
                raise

    async def _run(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
