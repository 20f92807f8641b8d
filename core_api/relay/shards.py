"""The shards that a relay owns: claims, renews and releases their leases."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from core_api.errors import UnavailableError
from core_api.relay.held_shard import HeldShard
from core_api.relay.leases import plan_leases
from core_api.relay.ports import OutboxPort, Publisher, RestoreGuard
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.relay.metrics import RelayMetrics

_log = get_logger()


class Shards:
    """The leases of one relay.

    Args:
        outbox: stores the leases.
        publisher: opened before the first lease is claimed: a relay that cannot publish claims
            none.
        guard: checks at each tick whether this is still the same database.
        relay_id: this relay among its peers.
        partitions: how many shards there are.
        lease_ttl_s: how long a lease lasts, in seconds.
        clock: seconds that only go forward.
        metrics: where the numbers go.
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
    ) -> None:
        self.held: dict[int, HeldShard] = {}
        self._outbox = outbox
        self._publisher = publisher
        self._guard = guard
        self._relay_id = relay_id
        self._partitions = partitions
        self._ttl_s = lease_ttl_s
        self._clock = clock
        self._metrics = metrics
        self._surplus: tuple[int, ...] = ()
        self._next_tick = clock()

    @property
    def until_tick(self) -> float:
        """The seconds until the leases must be renewed."""
        return max(0.0, self._next_tick - self._clock())

    def fences(self, shards: Iterable[int] | None = None) -> dict[int, int]:
        """The fence of each lease; of those of `shards` that are held, or of all."""
        wanted = self.held if shards is None else [s for s in shards if s in self.held]
        return {shard: self.held[shard].fence for shard in wanted}

    def tick_soon(self) -> None:
        """Let the next tick be due now."""
        self._next_tick = self._clock()

    async def tick_if_due(self, asking_kafka: bool) -> None:
        """Renew the leases, claim free ones, and find those above our share.

        Raises:
            UnavailableError: Postgres, or with no lease held Kafka, does not answer.
            SettingsError: the topic has another number of partitions.
        """
        now = self._clock()
        if now < self._next_tick:
            return
        self._next_tick = now + self._ttl_s / 5
        await self._guard.check_identity()
        await self._outbox.rehome(self._partitions)
        fences = self.fences()
        kept = await self._outbox.beat(fences)
        self.forget(shard for shard in fences if shard not in kept)
        for shard in kept:
            self.held[shard].good_until = now + self._ttl_s
        members, leases = await self._outbox.look()
        plan = plan_leases(self._relay_id, members, self._partitions, leases)
        self._surplus = plan.release
        if plan.claim:
            if not self.held and not asking_kafka:
                # A relay that cannot publish leaves the shards to others.
                await self._publisher.open()
            now = self._clock()
            for shard, fence in (await self._outbox.claim(plan.claim)).items():
                self.held[shard] = HeldShard(fence, now + self._ttl_s)
                self._changed("claimed", shard, fence)
        if plan.look_again_s is not None:
            self._next_tick = min(self._next_tick, now + plan.look_again_s + 0.005)
        depth = await self._outbox.depth()
        self._metrics.outbox_rows.set(depth.rows)
        self._metrics.outbox_age.set(depth.age_s)

    async def give_back(self, busy: Collection[int]) -> None:
        """Release shards above our share, between two cycles; not those with records in progress.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        surplus = self.fences(s for s in self._surplus if s not in busy)
        self._surplus = tuple(s for s in self._surplus if s in busy)
        if surplus:
            await self._outbox.release(surplus)
            for shard, fence in surplus.items():
                del self.held[shard]
                self._changed("released", shard, fence)

    async def give_all_back(self) -> None:
        """Own nothing from now on; leases that cannot be released expire."""
        fences = self.fences()
        self.forget(fences)
        with contextlib.suppress(UnavailableError):
            await self._outbox.release(fences)

    async def leave(self) -> list[int]:
        """Release all and leave the list of relays; the shards that were owned."""
        fences = self.fences()
        self.held.clear()
        with contextlib.suppress(UnavailableError):
            await self._outbox.release(fences)
            await self._outbox.leave()
        return sorted(fences)

    def forget(self, shards: Iterable[int]) -> None:
        """The leases of these have been lost."""
        for shard in list(shards):
            held = self.held.pop(shard, None)
            if held is not None:
                self._changed("lost", shard, held.fence)

    def _changed(self, change: str, shard: int, fence: int) -> None:
        _log.info(f"lease_{change}", shard=shard, fence=fence)
        self._metrics.lease_changes.labels(change).inc()
        self._metrics.leases_held.set(len(self.held))
