"""Wires ingest."""

from __future__ import annotations

import socket
from argparse import Namespace
from collections.abc import Sequence

from core_api.edits.plan import Rules
from core_api.ingest.devices import DeviceIngest
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
from core_api.store_rules.sold_out_or_closed import is_obeyed
from core_api.system_edits.document_access import DocumentAccess
from core_api.wiring import (
    MAX_DEVICES,
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

    def committed(_channels: Sequence[str]) -> None:
        hints.committed()

    async def check() -> None:
        await check_database(pool)

    try:
        await run_ingest(
            settings,
            commands=OrderService(
                pool,
                settings.partitions,
                utc_now,
                new_order_id,
                committed,
                writing,
                lock_turns,
                settings.open_limits,
            ),
            devices=lambda registry: DeviceIngest(
                settings,
                documents=DocumentAccess(writing, rules, committed),
                check=check,
                registry=registry,
            ),
            beside=lambda registry: {
                "receipts": receipt_reader(settings, pool, ReceiptMetrics(registry)).run,
                "hints": hints.send,
            },
            check=check,
            verify=token_keys(settings.token_keys, settings.token_kid).verify,
            listener=listener,
            stop=stop_signal(),
        )
    finally:
        pool.terminate()
        writing.terminate()
        log.info("ingest_stopped")


def receipt_reader(settings: IngestSettings, pool: Pool, metrics: ReceiptMetrics) -> ReceiptReader:
    """A reader that stores the receipts which event servers gathered, and counts what it leaves
    out.

    Args:
        settings: those of the process: the cluster, and the topics that are read.
        pool: where the receipts are stored.
        metrics: where receipts that cannot be read or stored are counted.
    """
    return ReceiptReader(
        settings.cluster,
        [receipts_topic(settings.receipts_topic), messages_topic(settings.messages_topic)],
        DeviceLog(
            lambda batch: store_sightings(pool, batch),
            lambda store_id: list_devices(pool, store_id, MAX_DEVICES),
            metrics.dropped.labels("refused").inc,
        ),
        metrics.dropped.labels("unreadable").inc,
    )
