"""Wires ingest: one call that runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry

from core_api.access.callers import Caller
from core_api.http.probes import refusal_by
from core_api.ingest.applier import Applier
from core_api.ingest.consumer import GROUP, Ingest
from core_api.ingest.dead_letter_topic import KafkaDeadLetters
from core_api.ingest.metrics import IngestMetrics
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.topics import dead_letter_topic, inbound_topic
from core_api.postgres.database_watch import TASK as DATABASE
from core_api.postgres.database_watch import DatabaseWatch
from server_common.kafka.connection import chain_of
from server_common.ops.process import observed
from server_common.supervision import Work, until_left

if TYPE_CHECKING:
    from core_api.ingest.devices import DeviceIngest
    from core_api.orders.service import OrderService
    from core_api.settings import IngestSettings

_DRAIN_S: Final = 5.0


async def run_ingest(
    settings: IngestSettings,
    *,
    commands: OrderService,
    devices: Callable[[CollectorRegistry], DeviceIngest],
    beside: Callable[[CollectorRegistry], Mapping[str, Work]],
    check: Callable[[], Awaitable[None]],
    verify: Callable[[str], Caller],
    listener: socket.socket,
    stop: asyncio.Event,
    group: str = GROUP,
) -> None:
    """Ingest until `stop` is set.

    Args:
        settings: its settings; each is read where the part that it is for is made.
        commands: the write path of orders.
        devices: makes the part of devices, whose numbers go to the registry that it is given.
        beside: what else runs in this process, with its numbers in the registry that it is given;
            commands are taken without it, too.
        check: raises `UnavailableError` while the database cannot take commands.
        verify: who holds a token; raises `UnauthorizedError`.
        listener: a bound socket, where health and metrics are served.
        stop: set it to end.
        group: the consumer group.
    """
    kafka, partitions = settings.cluster, settings.partitions
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry)
    publisher = KafkaPublisher(kafka, dead_letter_topic(settings.inbound_dlq_topic, partitions))
    applier = Applier(
        commands,
        KafkaDeadLetters(publisher, lambda: time.time_ns() // 1_000_000),
        asyncio.sleep,
        metrics,
    )
    ingest = Ingest(
        kafka,
        inbound_topic(settings.inbound_topic, partitions),
        applier,
        check,
        group=group,
        clock=time.monotonic,
        metrics=metrics,
    )
    of_devices = devices(registry)
    database = DatabaseWatch(check)
    left, devices_left = asyncio.Event(), asyncio.Event()
    try:
        async with observed(
            listener,
            registry,
            metrics.restarts,
            refusal_by(verify),
            lambda: ingest.healthy and of_devices.healthy,
            lambda: database.trouble or ingest.trouble or of_devices.trouble,
            settings.certificate,
            chain_of(kafka),
        ) as tasks:
            tasks.start(DATABASE, database.run)
            tasks.start("ingest", lambda: until_left(ingest.run, left))
            tasks.start("devices", lambda: until_left(of_devices.run, devices_left))
            for name, work in {**of_devices.tasks, **beside(registry)}.items():
                tasks.start(name, work, essential=False)
            await stop.wait()
            ingest.stop()
            of_devices.stop()
            # Records that are still being retried are not committed, so they will come again.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    await left.wait()
                    await devices_left.wait()
    finally:
        await publisher.close()
        await of_devices.close()
