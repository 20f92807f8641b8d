"""Wires the relay: one call that runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from core_api.access import Caller
from core_api.hints import Hints
from core_api.ops import OpsServer, ops_app
from core_api.publisher import KafkaPublisher
from core_api.reach import Reach, ReachSettings
from core_api.relay import Relay
from core_api.relay_metrics import RelayMetrics
from core_api.storage.outbox import Outbox
from core_api.topics import alerts_topic, events_topic

if TYPE_CHECKING:
    from core_api.storage.pool import Pool


async def run_relay(
    *,
    pool: Pool,
    database_url: str,
    bootstrap: str,
    topic: str,
    partitions: int,
    relay_id: str,
    verify: Callable[[str], Caller],
    listener: socket.socket,
    stop: asyncio.Event,
    watch: ReachSettings,
    lease_ttl_s: float = 5.0,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Relay until `stop` is set.

    Args:
        pool: the database; two connections are enough.
        database_url: for the connection that listens for hints.
        bootstrap: Kafka, as `host:port[,host:port]`.
        topic: where events go; made if it is missing.
        partitions: how many shards the outbox and partitions the topic has.
        relay_id: a name that no other process has, not even this one's next start.
        verify: who holds a token; raises `UnauthorizedError`.
        listener: a bound socket, where health and metrics are served.
        stop: set it to end.
        watch: where and when to tell of orders that reach nobody.
        lease_ttl_s: how long a dead relay's shards stand still at most.
        clock: seconds that only go forward.

    Raises:
        SettingsError: the topic has another number of partitions.
    """
    registry = CollectorRegistry()
    metrics = RelayMetrics(registry)
    publisher = KafkaPublisher(
        bootstrap, events_topic(topic, partitions), rebuilt=metrics.rebuilds.inc
    )
    relay = Relay(
        Outbox(pool, relay_id, lease_ttl_s),
        publisher,
        relay_id=relay_id,
        partitions=partitions,
        lease_ttl_s=lease_ttl_s,
        clock=clock,
        metrics=metrics,
    )
    app = ops_app(registry, verify, lambda: relay.healthy, lambda: relay.trouble)
    server = OpsServer(app, listener)
    server.start()
    hints = asyncio.create_task(Hints(pool, database_url, relay.hint).listen())
    reach = Reach(
        pool,
        KafkaPublisher(bootstrap, alerts_topic(watch.topic)),
        metrics,
        watch,
        lambda: int(time.time() * 1000),
    )
    watching = asyncio.create_task(reach.run())
    stopper = asyncio.create_task(_stop_when(stop, relay))
    try:
        await relay.run()
    finally:
        for task in (hints, stopper, watching):
            task.cancel()
        # Hints may fail as they like: nothing depends on them.
        await asyncio.gather(hints, stopper, watching, return_exceptions=True)
        await server.stop()


async def _stop_when(stop: asyncio.Event, relay: Relay) -> None:
    await stop.wait()
    relay.stop()
