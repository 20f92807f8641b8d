"""Wires ingest."""

from __future__ import annotations

import socket
from argparse import Namespace

from core_api.edits.plan import Rules
from core_api.ingest.devices import DeviceIngest, DeviceTopics
from core_api.ingest.main import run_ingest
from core_api.kafka.topics import messages_topic, receipts_topic
from core_api.orders.service import OrderService
from core_api.postgres.commit_hints import Hints
from core_api.postgres.pool import Pool, check_database
from core_api.processes.starting import Place, start
from core_api.receipts.devices import DeviceLog
from core_api.receipts.from_kafka import ReceiptReader
from core_api.receipts.metrics import ReceiptMetrics
from core_api.receipts.statements import list_devices, store_sightings
from core_api.settings import IngestSettings
from core_api.store_rules.rules import is_obeyed
from core_api.wiring import (
    MOST_DEVICES,
    definitions_of,
    new_order_id,
    open_pools,
    token_keys,
    utc_now,
)
from server_common.logs import get_logger
from server_common.sockets import stop_signal

log = get_logger()


def ingest(_options: Namespace) -> None:
    """Take commands from Kafka until told to stop."""
    start(
        "ingest",
        IngestSettings,
        lambda s: Place(s.ingest_host, s.ingest_port, "YABAM_INGEST_PORT"),
        run_ingest_process,
    )


async def run_ingest_process(settings: IngestSettings, listener: socket.socket) -> None:
    """`yabam ingest`: take commands from Kafka until SIGTERM or SIGINT."""
    rules = Rules(definitions_of(settings.definitions), settings.partitions, is_obeyed)
    pool, writing, lock_turns = await open_pools(
        settings, settings.ingest_pool_size, 10.0, "yabam-ingest"
    )
    hints = Hints(pool, settings.session_url, lambda: None)
    try:
        await run_ingest(
            commands=OrderService(
                pool,
                settings.partitions,
                utc_now,
                new_order_id,
                lambda _channels: hints.committed(),
                writing,
                lock_turns,
                settings.open_limits,
            ),
            devices=lambda registry: DeviceIngest(
                settings.cluster,
                DeviceTopics(
                    settings.devices_inbound_topic,
                    settings.devices_outbound_topic,
                    settings.devices_dlq_topic,
                    settings.partitions,
                ),
                pool=pool,
                writing=writing,
                rules=rules,
                committed=lambda _channels: hints.committed(),
                check=lambda: check_database(pool),
                registry=registry,
            ),
            check=lambda: check_database(pool),
            kafka=settings.cluster,
            topic=settings.inbound_topic,
            dead_letters=settings.inbound_dlq_topic,
            partitions=settings.partitions,
            verify=token_keys(settings.token_keys, settings.token_kid).verify,
            listener=listener,
            tls=settings.certificate,
            stop=stop_signal(),
            receipts=lambda registry: receipt_reader(settings, pool, ReceiptMetrics(registry)).run,
            hint=hints.send,
        )
    finally:
        pool.terminate()
        writing.terminate()
        log.info("ingest_stopped")


def receipt_reader(settings: IngestSettings, pool: Pool, metrics: ReceiptMetrics) -> ReceiptReader:
    """Stores the receipts that event servers gathered, and counts what it leaves out."""
    return ReceiptReader(
        settings.cluster,
        [receipts_topic(settings.receipts_topic), messages_topic(settings.messages_topic)],
        DeviceLog(
            lambda batch: store_sightings(pool, batch),
            lambda store_id: list_devices(pool, store_id, MOST_DEVICES),
            metrics.dropped.labels("refused").inc,
        ),
        metrics.dropped.labels("unreadable").inc,
    )
