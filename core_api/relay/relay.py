"""The relay: from the outbox to Kafka, in the order of each store, whichever relays work or die.

It writes the watermark, too, and keeps promise 6 (any process may die) for publishing.

One task does all in a loop: it renews its leases, reads the outbox of the shards it owns,
publishes, and deletes the rows that Kafka has acknowledged. After a failure it retries: the rows
are still in the outbox. A shard whose partition has not answered yet is left out of the next cycles
and settled later: no shard waits for another's partition.

Why nothing is lost or reordered, whatever process is killed or suspended:

- A row is deleted only after Kafka acknowledged it, by a statement that checks the lease's number.
- A shard is always published from its oldest remaining row, in order, one batch at a time. Earlier
  rows are deleted, so they are in Kafka already. An event can therefore never reach Kafka before an
  earlier one of its store.
- A relay that was suspended beyond its lease can still send rows that it had read before (the new
  owner sends them too: repeated events, dropped by their seq), and its watermark (older, but still
  correct for the records before it). Its delete finds a higher fence and does nothing, and its next
  read gives no row.
- A row may become visible after a later row of another store was published; each read starts at the
  beginning, so it is found, and within a store ids rise in commit order.
- A row that Kafka will never take, or that Postgres cannot read, is announced in its place and set
  aside, so that it blocks no other. A locked row is published once, and deleted when it is free.
- Nothing is published before the database is proven to have every published event.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from core_api.errors import CoreError, UnavailableError, UnreadableRowError
from core_api.kafka.topics import BrokerError
from core_api.relay.cycle import Cycle, OutboxReading, plan_cycle
from core_api.relay.held_shard import HeldShard
from core_api.relay.pacing import Pacer
from core_api.relay.ports import OutboxPort, Publisher, RestoreGuard
from core_api.relay.restore_checks import RestoreChecks
from core_api.relay.sent import Sent
from core_api.relay.shards import Shards
from core_api.relay.unreadable import read_around
from server_common.backoff import Backoff
from server_common.errors import SettingsError
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.relay.metrics import RelayMetrics

_log = get_logger()
_Result = TypeVar("_Result")

BATCH_ROWS: Final = 1000
"""Events read at once, shared among the shards owned."""
_RETRY_S: Final = (0.05, 2.0)
_DRAIN_S: Final = 2.0


class Relay:
    """Publishes the outbox of its shards until it is stopped.

    Args:
        outbox: the rows and the leases.
        publisher: Kafka.
        guard: detects that the database went back, and begins a new epoch.
        relay_id: this relay among its peers, as `outbox` knows it too.
        partitions: how many shards there are.
        lease_ttl_s: how long a lease lasts; a dead relay's shards are not published for so long.
        clock: seconds that only go forward, also while this process is suspended.
        metrics: where the numbers go.
        new_run: a name that no other run of any relay has.
        hinted: whether `hint` is known to be called after each commit.
    """

    def __init__(
        self,
        outbox: OutboxPort,
        publisher: Publisher,
        guard: RestoreGuard,
        *,
        relay_id: str,
        partitions: int,
        lease_ttl_s: float,
        clock: Callable[[], float],
        metrics: RelayMetrics,
        new_run: Callable[[], str] = lambda: secrets.token_hex(8),
        hinted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._hinted = hinted
        self._pacer = Pacer()
        self._hint_came = False
        self._new_run = new_run
        self._outbox = outbox
        self._publisher = publisher
        self._ttl_s = lease_ttl_s
        self._clock = clock
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._shards = Shards(
            outbox,
            publisher,
            guard,
            relay_id=relay_id,
            partitions=partitions,
            lease_ttl_s=lease_ttl_s,
            clock=clock,
            metrics=metrics,
        )
        self._restore_checks = RestoreChecks(guard, clock, self._wake.set)
        self._sent = Sent(outbox, metrics, clock, self._is_held, self._wake.set)
        self._asking_kafka = False
        self._cycled_at = clock()
        self._failing: str | None = "start"
        metrics.watermark_age.set_function(self._watermark_age)
        metrics.shards.set(partitions)

    @property
    def healthy(self) -> bool:
        """Whether the loop runs; if not, the process should be restarted."""
        return self._clock() - self._cycled_at < max(30.0, 6 * self._ttl_s)

    @property
    def trouble(self) -> str | None:
        """Why this relay cannot work now, or not in all of its shards; None if it can."""
        return self._failing

    @property
    def shards(self) -> frozenset[int]:
        """The shards that it owns."""
        return frozenset(self._shards.held)

    def hint(self) -> None:
        """Wake the relay: something was committed."""
        self._hint_came = True
        self._wake.set()

    def stop(self) -> None:
        """Finish the batches in progress, release the leases and return from `run`."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Relay until `stop` is called."""
        backoff = Backoff(*_RETRY_S, random.uniform)
        try:
            while not self._stopping.is_set():
                self._cycled_at = self._clock()
                hinted, self._hint_came = self._hint_came, False
                self._wake.clear()
                try:
                    await self._shards.tick_if_due(self._asking_kafka)
                    found, more = await self._cycle()
                    self._pacer.note(self._clock(), found=found, more=more, hinted=hinted)
                except (UnavailableError, SettingsError) as error:
                    await self._step_back(error)
                    # Without a lease a cycle calls no server: only a tick shows that they answer.
                    self._shards.tick_soon()
                    # A hint does not cut this short: it would turn the back-off into a storm.
                    await _rest(self._stopping, backoff.failed())
                else:
                    self._say_how_it_is()
                    backoff.forget()
                    await _rest(self._wake, min(self._pause(), self._shards.until_tick))
        finally:
            await self._leave()

    def _pause(self) -> float:
        busy = self._sent.shards
        idle = [one for shard, one in self._shards.held.items() if shard not in busy]
        return self._pacer.rest(self._clock(), self._hinted(), idle)

    async def _step_back(self, error: CoreError | SettingsError) -> None:
        """Log why this relay cannot work, and release what it may no longer hold."""
        self._fail(error)
        if isinstance(error, SettingsError):
            # Leave the shards to relays with correct settings.
            await self._shards.give_all_back()
        elif not isinstance(error, BrokerError):
            # A database that was down may come back in an earlier state.
            await self._restore_checks.close()
            for held in self._shards.held.values():
                held.is_proven = False

    async def _cycle(self) -> tuple[bool, bool]:
        """Read, publish, delete. Returns whether there was anything to publish, and whether more
        may be there.
        """
        await self._sent.settle_answered()
        await self._shards.give_back(self._sent.shards)
        held = self._shards.held
        self._restore_checks.look(held)
        now = self._clock()
        fences = self._shards.fences(
            shard
            for shard, one in held.items()
            if one.is_proven and shard not in self._sent.shards and now >= one.rest_until
        )
        if not fences:
            return False, False
        limit = max(1, BATCH_ROWS // len(held))
        reading = await self._read(fences, limit)
        self._shards.forget(s for s in fences if reading is None or s not in reading.shards)
        if reading is None:
            return False, False
        for shard in reading.shards:
            if not held[shard].run:
                held[shard].begin(self._new_run())
        cycle = plan_cycle(reading, held, limit, self._clock())
        await self._publish(cycle)
        self._metrics.publish.observe(self._clock() - now)
        is_full = any(len(rows) >= limit for rows in reading.shards.values())
        return any(cycle.rows.values()), is_full or bool(reading.cut_short)

    async def _read(self, fences: dict[int, int], limit: int) -> OutboxReading | None:
        try:
            return await self._outbox.read(fences, limit)
        except UnreadableRowError as error:
            _log.warning("row_unreadable", reason=str(error))
            return await read_around(self._outbox, fences, limit)

    async def _publish(self, cycle: Cycle) -> None:
        """Send the cycle's messages, and settle those that are answered soon."""
        held = {shard: self._shards.held[shard] for shard in cycle.rows}
        if cycle.messages:
            try:
                answers = await self._while_leased(self._publisher.send(cycle.messages))
            except BaseException:
                for shard in cycle.messages:
                    held[shard].count(None)
                raise
            self._sent.add(cycle, held, answers)
            await self._sent.until_answered(list(answers.values()))
        await self._sent.settle_silent(cycle, held)
        await self._sent.settle_answered()

    async def _while_leased(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Wait for Kafka, and renew the leases meanwhile."""
        task = asyncio.ensure_future(work)
        self._asking_kafka = True
        started_at = self._clock()
        stop_at: float | None = None
        try:
            while not (await asyncio.wait({task}, timeout=max(self._shards.until_tick, 0.05)))[0]:
                now = self._cycled_at = self._clock()
                if now - started_at > self._ttl_s:
                    self._fail(BrokerError("Kafka does not answer"))
                with contextlib.suppress(UnavailableError):
                    await self._shards.tick_if_due(self._asking_kafka)
                if self._stopping.is_set():
                    stop_at = stop_at or now + _DRAIN_S
                    if now >= stop_at:
                        raise BrokerError("Kafka does not answer, and the relay must stop")
        finally:
            self._asking_kafka = False
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, CoreError, SettingsError):
                    await task
        return task.result()

    async def _leave(self) -> None:
        try:
            await self._restore_checks.close()
            with contextlib.suppress(UnavailableError):
                # The next owner publishes the rest again.
                await self._sent.drain(_DRAIN_S)
            # Before closing, so that a peer can go on at once: that may take long while Kafka is
            # down.
            shards = await self._shards.leave()
        finally:
            await self._publisher.close()
        _log.info("relay_left", shards=shards)

    def _say_how_it_is(self) -> None:
        """Record which shards are stalled, if any."""
        silent = self._sent.silent_since(self._clock() - self._ttl_s)
        failed = {s: one.trouble for s, one in self._shards.held.items() if one.trouble}
        if silent:
            told = ", ".join(map(str, sorted(silent)))
            self._fail(BrokerError(f"Kafka does not answer for partition {told}"))
        elif failed:
            shard = min(failed)
            self._fail(BrokerError(f"partition {shard}: {failed[shard]}"))
        else:
            if self._failing is not None:
                _log.info("relay_works", shards=sorted(self._shards.held))
            self._failing = None

    def _is_held(self, shard: int, held: HeldShard) -> bool:
        return self._shards.held.get(shard) is held

    def _fail(self, error: CoreError | SettingsError) -> None:
        if self._failing != str(error):
            _log.warning("relay_waits", reason=str(error))
            on = "kafka" if isinstance(error, BrokerError) else "postgres"
            on = "settings" if isinstance(error, SettingsError) else on
            self._metrics.failures.labels(on).inc()
        self._failing = str(error)

    def _watermark_age(self) -> float:
        now, held = self._clock(), self._shards.held.values()
        return max((now - h.watermark_at for h in held if h.watermark_at), default=0)


async def _rest(event: asyncio.Event, seconds: float) -> None:
    if seconds > 0 and not event.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
