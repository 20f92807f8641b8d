"""Processes of Core in the test's own process: what all of them are given."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from tests.integration.core_service import KEYS
from tests.secure_kafka import Certificates

PARTITIONS = 4


class World:
    """What the processes are given: a database, a Kafka, a certificate, and when to stop."""

    def __init__(self, database: str, kafka: str, files: Certificates) -> None:
        name = uuid4().hex
        self.kafka, self.events_topic = kafka, f"events-{name}"
        self.files = files
        self.stop = asyncio.Event()
        self.settings: dict[str, Any] = {
            "database_url": database,
            "kafka": kafka,
            "partitions": PARTITIONS,
            "events_topic": self.events_topic,
            "token_keys": {"local": KEYS.token},
            "token_kid": "local",
            "tls_cert": str(files.broker),
            "tls_key": str(files.broker),
        } | {
            f"{topic}_topic": f"{topic.replace('_', '-')}-{name}"
            for topic in (
                "alerts",
                "revocations",
                "receipts",
                "messages",
                "inbound",
                "inbound_dlq",
                "devices_inbound",
                "devices_outbound",
                "devices_dlq",
            )
        }
