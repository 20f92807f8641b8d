"""Wires the relay: one call that runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry

from core_api.access.callers import Caller
from core_api.devices.commands.alarm import CommandAlarm
from core_api.devices.metrics import CommandAlarmMetrics
from core_api.http.probes import refusal_by
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.topics import alerts_topic, events_topic, revocations_topic
from core_api.postgres.commit_hints import Hints
from core_api.postgres.database_watch import TASK as DATABASE
from core_api.postgres.database_watch import DatabaseWatch
from core_api.postgres.pool import check_database
from core_api.receipts.alarm import AlarmSettings, ReceiptAlarm
from core_api.receipts.from_kafka import GROUP
from core_api.receipts.metrics import AlarmMetrics
from core_api.receipts.receipts_lag import ReceiptsLag
from core_api.relay.metrics import RelayMetrics
from core_api.relay.outbox import Outbox
from core_api.relay.relay import Relay
from core_api.restore.epoch_guard import LifetimeGuard
from core_api.restore.main import RelayLog
from core_api.revocations.telling import Teller
from server_common.kafka.connection import chain_of
from server_common.ops.process import observed
from server_common.supervision import until_left

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool
    from core_api.settings import RelaySettings

_LEAVE_WITHIN_S: Final = 30.0


async def run_relay(
    settings: RelaySettings,
    *,
    pool: Pool,
    relay_id: str,
    verify: Callable[[str], Caller],
    listener: socket.socket,
    stop: asyncio.Event,
) -> None:
    """Relay until `stop` is set.

    Args:
        settings: its settings; each is read here, where the part that it is for is made.
        pool: the database; two connections are enough.
        relay_id: a name that no other process has, not even this one's next start.
        verify: who holds a token; raises `UnauthorizedError`.
        listener: a bound socket, where health and metrics are served.
        stop: set it to end.
    """
    kafka, topic, partitions = settings.cluster, settings.events_topic, settings.partitions
    registry = CollectorRegistry()
    metrics = RelayMetrics(registry)
    publisher = KafkaPublisher(
        kafka,
        events_topic(topic, partitions),
        rebuilt=metrics.rebuilds.inc,
        stands_by=partitions > 1,
        clock=time.monotonic,
    )
    relay = Relay(
        Outbox(pool, relay_id, settings.relay_lease_s),
        publisher,
        LifetimeGuard(
            RelayLog(pool, kafka, topic, settings.relay_lease_s),
            partitions,
            metrics.epochs.inc,
            metrics.promotions.inc,
        ),
        relay_id=relay_id,
        partitions=partitions,
        lease_ttl_s=settings.relay_lease_s,
        clock=time.monotonic,
        metrics=metrics,
        hinted=lambda: hints.arrive,
    )
    hints = Hints(pool, settings.session_url, relay.hint)
    reach = ReceiptAlarm(
        pool,
        KafkaPublisher(kafka, alerts_topic(settings.alerts_topic)),
        AlarmMetrics(registry),
        AlarmSettings(
            settings.unreceived_after_s, settings.unaccepted_after_s, settings.reach_every_s
        ),
        lambda: int(time.time() * 1000),
        ReceiptsLag(kafka, settings.receipts_topic, GROUP),
    )
    commands = CommandAlarm(
        pool,
        KafkaPublisher(kafka, alerts_topic(settings.alerts_topic)),
        CommandAlarmMetrics(registry),
        settings.reach_every_s,
        lambda: int(time.time() * 1000),
    )
    revocations = Teller(
        pool,
        KafkaPublisher(kafka, revocations_topic(settings.revocations_topic)),
        lambda: int(time.time() * 1000),
    )
    database = DatabaseWatch(lambda: check_database(pool))
    left = asyncio.Event()
    async with observed(
        listener,
        registry,
        metrics.restarts,
        refusal_by(verify),
        lambda: relay.healthy,
        lambda: database.trouble or relay.trouble,
        settings.certificate,
        chain_of(kafka),
    ) as tasks:
        tasks.start(DATABASE, database.run)
        tasks.start("relay", lambda: until_left(relay.run, left))
        tasks.start("hints", hints.listen, essential=False)
        tasks.start("reach", reach.run)
        tasks.start("commands", commands.run)
        tasks.start("revocations", revocations.run)
        await stop.wait()
        relay.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_WITHIN_S):
                await left.wait()
