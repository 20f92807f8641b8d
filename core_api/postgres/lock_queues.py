"""Concurrent writes: all share statements, and those that meet a lock are queued separately.

A statement waits only a moment for each lock. If that times out, it is rolled back whole; Core
finds which store's or order's rows are locked, and their writes go on in a queue of their own,
while all others are written at once. Such a queue retries, in turn with the others, until its rows
are free or its callers time out; then it ends. So a stall concerns one store only, and delays the
others once, by a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from core_api.errors import LockedError
from core_api.postgres.query_batching import Beside, QueryBatcher
from server_common.limits import WRITES_PER_BATCH
from server_common.logs import get_logger

_log = get_logger()

MAX_IN_A_QUEUE: Final = 100
"""How many writes may wait for one locked store or order; the next is refused."""
MAX_ASIDE: Final = 400
"""How many may wait in all queues: well below the commands that may be under way."""
PATIENCE_S: Final = 10.0
"""How long a queue tries a write."""
_WAITS: Final = "another transaction holds a lock that it needs in the database"


class Write(Protocol):
    """One write."""

    @property
    def locks(self) -> tuple[str, ...]:
        """The names of the locks that it needs; the first stands for the whole write."""

    @property
    def identities(self) -> tuple[object, ...]:
        """What no two writes of one statement may share."""


W = TypeVar("W", bound=Write)
A = TypeVar("A")
WriteEach = Callable[[Sequence[W]], Awaitable[tuple[None, list[A]]]]
FindHeld = Callable[[Sequence[W]], Awaitable[list[str | None]]]


class _StepAside:
    """Tells a caller that its rows are locked, so it goes on in a queue."""


_ASIDE: Final = _StepAside()


@dataclass(slots=True)
class _Queue(Generic[W, A]):
    batcher: QueryBatcher[W, None, A]
    waiting: int = 0


class LockQueues(Generic[W, A]):
    """Sends writes to the database.

    Args:
        write: writes a batch; raises `LockedError`, with nothing written, if it meets a lock.
        held: finds which of the locks of each write is held; None: none.
        at_once: how many queues may be at the database at once.
        weigh: how many writes a write counts as; None: each counts as one.
        beside: once so many callers wait, a second statement, with none of the first one's locks,
            runs concurrently; None: never.
    """

    def __init__(
        self,
        write: WriteEach[W, A],
        held: FindHeld[W],
        at_once: int,
        weigh: Callable[[W], int] | None = None,
        beside: int | None = None,
    ) -> None:
        self._write = write
        self._held = held
        self._weigh = weigh
        self._turns = asyncio.Semaphore(at_once)
        self._queues: dict[str, _Queue[W, A]] = {}
        self._aside = 0
        self._main: QueryBatcher[W, None, A | _StepAside] = QueryBatcher(
            self._write_together,
            WRITES_PER_BATCH,
            _identities,
            weigh=weigh,
            beside=None if beside is None else Beside(beside, _locks),
        )

    @property
    def waiting_for_lock(self) -> int:
        """How many writes wait for a lock that another transaction holds."""
        return self._aside

    async def ask(self, write: W) -> A:
        """Do the write; its result.

        Raises:
            LockedError: its store or its order is locked; nothing is written.
            UnavailableError: Postgres does not answer, and may have written.
        """
        key = self._queue_of(write)
        if key is None:
            _, (answer,) = await self._main.ask([write])
            if not isinstance(answer, _StepAside):
                return answer
            key = self._queue_of(write) or write.locks[0]
        return await self._wait_in_queue(key, write)

    def _queue_of(self, write: W) -> str | None:
        if not self._queues:
            return None
        return next((key for key in write.locks if key in self._queues), None)

    async def _wait_in_queue(self, key: str, write: W) -> A:
        queue = self._open(key)
        if queue.waiting >= MAX_IN_A_QUEUE or self._aside >= MAX_ASIDE:
            raise LockedError(f"{_WAITS}, and too many wait for it: {key}", _WAITS)
        queue.waiting += 1
        self._aside += 1
        try:
            _, (answer,) = await queue.batcher.ask([write])
        finally:
            queue.waiting -= 1
            self._aside -= 1
            if not queue.waiting and self._queues.get(key) is queue:
                del self._queues[key]
        return answer

    def _open(self, key: str) -> _Queue[W, A]:
        queue = self._queues.get(key)
        if queue is None:
            _log.warning("write_waits_for_lock", held=key)
            queue = _Queue(
                QueryBatcher(
                    self._write_patiently, WRITES_PER_BATCH, _identities, weigh=self._weigh
                )
            )
            self._queues[key] = queue
        return queue

    async def _write_together(self, writes: Sequence[W]) -> tuple[None, list[A | _StepAside]]:
        """Write what can be written at once; the callers of the rest go on in queues."""
        until = asyncio.get_running_loop().time() + PATIENCE_S
        is_unexplained = False
        while True:
            going = [write for write in writes if self._queue_of(write) is None]
            try:
                answers = iter((await self._write(going))[1] if going else ())
                break
            except LockedError:
                if asyncio.get_running_loop().time() >= until:
                    raise
            try:
                held = await self._held(going)
            except LockedError:
                continue  # A whole table is locked: it concerns all writes, so none can go ahead.
            if is_unexplained and not any(held):
                # The holder cannot be found, such as one that is inserting the same key.
                held = [write.locks[0] for write in going]
            is_unexplained = not any(held)
            for key in held:
                if key is not None:
                    self._open(key)
        chosen = {id(write) for write in going}
        return None, [next(answers) if id(write) in chosen else _ASIDE for write in writes]

    async def _write_patiently(self, writes: Sequence[W]) -> tuple[None, list[A]]:
        """Write a queue's batch, with retries, each when it is the queue's turn."""
        until = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            async with self._turns:
                try:
                    return await self._write(writes)
                except LockedError as error:
                    if asyncio.get_running_loop().time() >= until:
                        raise LockedError(str(error), _WAITS) from error


def _identities(write: Write) -> tuple[object, ...]:
    return write.identities


def _locks(write: Write) -> tuple[str, ...]:
    return write.locks
