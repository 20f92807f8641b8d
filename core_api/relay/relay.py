"""The relay: from the outbox to Kafka, in order within each store, and the watermark with it.

One task does all: it renews its leases, reads the outbox of the shards it owns, publishes, deletes
what Kafka has acknowledged, and starts anew. A turn that fails forgets what it had read: the rows
are still in the outbox.

Why nothing is lost or reordered, whatever is killed or paused:

- A row is deleted only after Kafka acknowledged it, by a statement that checks the lease's number.
- Whoever publishes a shard publishes it from the oldest row that is left, in order, one batch at a
  time. What is left out at the front is deleted, so it stands in Kafka already. An event can
  therefore never reach Kafka before its store's earlier one has.
- A relay that was paused beyond its lease and wakes up can send what it had read before (the new
  owner has sent it too or will: repeated events, dropped by their seq), and its watermark (older,
  but still true of what stands before it). Its delete finds a higher number and does nothing, and
  its next read gives it no row.
- A row may become visible behind one of another store that was published before; each read starts
  at the beginning, so it is found, and within a store ids rise in commit order.
- A row that Kafka will never take is announced in its place and set aside, so that it stops nobody.
- Nothing is published before it is proven that the database has all that was published already.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from core_api.errors import CoreError, UnavailableError
from core_api.kafka.messages import PublishResult
from core_api.kafka.topics import BrokerError
from core_api.relay.cycle import Cycle, Held, narrow, plan_cycle, settle
from core_api.relay.leases import next_pause, plan_leases
from core_api.relay.ports import Lifetime, Publisher, Shelf
from server_common.errors import SettingsError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from core_api.relay.metrics import RelayMetrics

_log: FilteringBoundLogger = structlog.get_logger(__name__)
_Result = TypeVar("_Result")

BATCH_ROWS: Final = 1000
"""Events read at once, shared among the shards owned."""
_FIRST_RETRY_S: Final = 0.05
_LONGEST_RETRY_S: Final = 2.0
_DRAIN_S: Final = 2.0


class Relay:
    """Publishes the outbox of its shards until it is stopped.

    Args:
        outbox: the rows and the leases.
        publisher: Kafka.
        lifetime: finds out that the database went back, and begins a new epoch.
        relay_id: this relay among its peers, as `outbox` knows it too.
        partitions: how many shards there are.
        lease_ttl_s: how long a lease holds; a dead relay's shards stand still for so long.
        clock: seconds that only go forward, also while this process is paused.
        metrics: where the numbers go.
        new_session: a name that no other session of any relay has.
    """

    def __init__(
        self,
        outbox: Shelf,
        publisher: Publisher,
        lifetime: Lifetime,
        *,
        relay_id: str,
        partitions: int,
        lease_ttl_s: float,
        clock: Callable[[], float],
        metrics: RelayMetrics,
        new_session: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._new_session = new_session
        self._outbox = outbox
        self._publisher = publisher
        self._lifetime = lifetime
        self._relay_id = relay_id
        self._partitions = partitions
        self._ttl_s = lease_ttl_s
        self._clock = clock
        self._metrics = metrics
        self._held: dict[int, Held] = {}
        self._surplus: tuple[int, ...] = ()
        self._asking_kafka = False
        self._next_tick = clock()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._turned_at = clock()
        self._failing: str | None = "start"
        metrics.watch_watermark(self._watermark_age)
        metrics.shards.set(partitions)

    @property
    def healthy(self) -> bool:
        """Whether the loop runs; if not, the process should be restarted."""
        return self._clock() - self._turned_at < max(30.0, 6 * self._ttl_s)

    @property
    def trouble(self) -> str | None:
        """Why this relay cannot work now; None if it can."""
        return self._failing

    @property
    def shards(self) -> frozenset[int]:
        """The shards that it owns."""
        return frozenset(self._held)

    def hint(self) -> None:
        """Wake the relay: something was committed."""
        self._wake.set()

    def stop(self) -> None:
        """Finish what is under way, give the leases back and return from `run`."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Relay until `stop` is called."""
        pause = retry = 0.0
        try:
            while not self._stopping.is_set():
                self._turned_at = self._clock()
                self._wake.clear()
                try:
                    await self._tick_if_due()
                    pause = next_pause(pause, await self._turn())
                except (UnavailableError, SettingsError) as error:
                    await self._step_back(error)
                    # Without a lease a turn asks nobody; only a tick tells that it works again.
                    self._next_tick = self._clock()
                    retry = min(max(retry * 2, _FIRST_RETRY_S), _LONGEST_RETRY_S)
                    # A hint does not cut this short: it would turn the back-off into a storm.
                    await _rest(self._stopping, retry)
                else:
                    self._recover()
                    retry = 0.0
                    await _rest(self._wake, min(pause, self._until_tick()))
        finally:
            await self._leave()

    async def _step_back(self, error: CoreError | SettingsError) -> None:
        """Log why this relay cannot work, and draw the consequences."""
        self._fail(error)
        if isinstance(error, SettingsError):
            # The shards must go to relays with the right settings.
            fences = self._fences()
            self._forget(list(fences))
            with contextlib.suppress(UnavailableError):
                await self._outbox.release(fences)
        elif not isinstance(error, BrokerError):
            # A database that was away may come back as it was some time ago.
            for held in self._held.values():
                held.is_proven = False

    async def _turn(self) -> bool:
        """Read, publish, delete. Returns whether there was anything to publish."""
        await self._give_back()
        await self._prove()
        fences = self._fences()
        if not fences:
            return False
        limit = max(1, BATCH_ROWS // len(fences))
        read_at = self._clock()
        reading = await self._outbox.read(fences, limit)
        self._forget([s for s in fences if reading is None or s not in reading.shards])
        if reading is None:
            return False
        for lease in self._held.values():
            if not lease.session:
                lease.begin(self._new_session())
        turn = plan_cycle(reading, self._held, limit, self._clock())
        published = await self._publish(turn)
        self._metrics.publish.observe(self._clock() - read_at)
        await self._settle(turn, published, fences)
        return any(reading.shards.values())

    async def _publish(self, turn: Cycle) -> PublishResult:
        """Publish; a shard whose records may or may not be stored goes on in a new session."""
        leases = {shard: self._held[shard] for shard in turn.messages}
        published = PublishResult()
        try:
            if leases:
                published = await self._while_leased(self._publisher.publish(turn.messages))
        finally:
            for shard, lease in leases.items():
                lease.count(published.stored.get(shard))
        return published

    async def _prove(self) -> None:
        """Compare the database with what was published in the shards that are new to us."""
        fences = {s: held.fence for s, held in self._held.items() if not held.is_proven}
        if fences:
            await self._while_leased(self._lifetime.check_published(list(fences)))
            for shard, fence in fences.items():
                if shard in self._held and self._held[shard].fence == fence:
                    self._held[shard].is_proven = True

    async def _while_leased(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Wait for Kafka, and renew the leases meanwhile."""
        task = asyncio.ensure_future(work)
        self._asking_kafka = True
        started_at = self._clock()
        stop_at: float | None = None
        try:
            while not (await asyncio.wait({task}, timeout=max(self._until_tick(), 0.05)))[0]:
                now = self._turned_at = self._clock()
                if now - started_at > self._ttl_s:
                    self._fail(BrokerError("Kafka does not answer"))
                with contextlib.suppress(UnavailableError):
                    await self._tick_if_due()
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

    async def _settle(self, turn: Cycle, published: PublishResult, fences: dict[int, int]) -> None:
        """Delete what Kafka has, and note which watermarks went out."""
        stored, now = dict(published.stored), self._clock()
        for shard, refused in published.refused.items():
            held = self._held.get(shard)
            if held is None or narrow(turn, held, shard, refused.count, refused.reason):
                stored[shard] = 0
        outcome = settle(turn, stored)
        for shard, events in outcome.events.items():
            held = self._held.get(shard)
            if held is None or held.fence != fences[shard]:
                continue
            if shard in outcome.marked:
                held.watermark_at, held.published_since = now, False
            elif events:
                held.published_since = True
            if events:
                held.at_most = None
        if outcome.set_aside:
            await self._set_aside(turn, outcome.set_aside, fences)
        if outcome.done:
            await self._outbox.delete(fences, outcome.done, turn.reading.epoch)
            events = len(outcome.done) - outcome.trimmed
            self._metrics.published.inc(events)
            self._metrics.trimmed.inc(outcome.trimmed)
            self._metrics.batch.observe(events)
            self._metrics.wait.observe(turn.reading.oldest_age_s)
        if not outcome.complete:
            raise BrokerError("Kafka has not stored the records of every partition")

    async def _set_aside(
        self, turn: Cycle, reasons: dict[int, str], fences: dict[int, int]
    ) -> None:
        count = await self._outbox.set_aside(fences, reasons, turn.reading.epoch)
        self._metrics.set_aside.inc(count)
        for row in (row for rows in turn.rows.values() for row in rows if row.id in reasons):
            _log.error("event_set_aside", id=row.id, events=row.ids, reason=reasons[row.id])
        for held in self._held.values():
            held.refused = {i: why for i, why in held.refused.items() if i not in reasons}

    async def _tick_if_due(self) -> None:
        """Renew the leases, claim free ones, and find those that are more than our share."""
        now = self._clock()
        if now < self._next_tick:
            return
        self._next_tick = now + self._ttl_s / 5
        await self._lifetime.check_identity()
        await self._outbox.rehome(self._partitions)
        fences = self._fences()
        kept = await self._outbox.beat(fences)
        self._forget([shard for shard in fences if shard not in kept])
        for shard in kept:
            self._held[shard].good_until = now + self._ttl_s
        members, leases = await self._outbox.look()
        plan = plan_leases(self._relay_id, members, self._partitions, leases)
        self._surplus = plan.release
        if plan.claim:
            if not self._held and not self._asking_kafka:
                # A relay that cannot publish leaves the shards to others.
                await self._publisher.open()
            now = self._clock()
            for shard, fence in (await self._outbox.claim(plan.claim)).items():
                self._held[shard] = Held(fence, now + self._ttl_s)
                self._changed("claimed", shard, fence)
        if plan.look_again_s is not None:
            self._next_tick = min(self._next_tick, now + plan.look_again_s + 0.005)
        depth = await self._outbox.depth()
        self._metrics.outbox_rows.set(depth.rows)
        self._metrics.outbox_age.set(depth.age_s)

    async def _give_back(self) -> None:
        """Release the shards beyond our share between two cycles, when nothing is being sent."""
        surplus = {s: self._held[s].fence for s in self._surplus if s in self._held}
        self._surplus = ()
        if surplus:
            await self._outbox.release(surplus)
            for shard, fence in surplus.items():
                del self._held[shard]
                self._changed("released", shard, fence)

    async def _leave(self) -> None:
        fences = self._fences()
        self._held.clear()
        try:
            # First, so that a peer can go on at once: closing may take long while Kafka is down.
            with contextlib.suppress(UnavailableError):
                await self._outbox.release(fences)
                await self._outbox.leave()
        finally:
            await self._publisher.close()
        _log.info("relay_left", shards=sorted(fences))

    def _fences(self) -> dict[int, int]:
        return {shard: held.fence for shard, held in self._held.items()}

    def _forget(self, shards: Sequence[int]) -> None:
        for shard in shards:
            held = self._held.pop(shard, None)
            if held is not None:
                self._changed("lost", shard, held.fence)

    def _changed(self, change: str, shard: int, fence: int) -> None:
        _log.info(f"lease_{change}", shard=shard, fence=fence)
        self._metrics.lease_changes.labels(change).inc()
        self._metrics.leases_held.set(len(self._held))

    def _fail(self, error: CoreError | SettingsError) -> None:
        if self._failing != str(error):
            _log.warning("relay_waits", reason=str(error))
            on = "kafka" if isinstance(error, BrokerError | SettingsError) else "postgres"
            self._metrics.failures.labels(on).inc()
        self._failing = str(error)

    def _recover(self) -> None:
        if self._failing is not None:
            _log.info("relay_works", shards=sorted(self._held))
        self._failing = None

    def _until_tick(self) -> float:
        return max(0.0, self._next_tick - self._clock())

    def _watermark_age(self) -> float:
        now = self._clock()
        return max((now - h.watermark_at for h in self._held.values() if h.watermark_at), default=0)


async def _rest(event: asyncio.Event, seconds: float) -> None:
    if seconds > 0 and not event.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
