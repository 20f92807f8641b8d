"""Deletes the data of brokers, as if their disk was replaced."""

from __future__ import annotations

import shutil

from deploy.kafka.server import KafkaServer
from deploy.mqtt.server import MosquittoServer


def wipe_kafka(server: KafkaServer) -> None:
    """Delete all records; the server must be stopped."""
    shutil.rmtree(server._data / "log", ignore_errors=True)


def wipe_mosquitto(server: MosquittoServer) -> None:
    """Delete all but the passwords and the certificate; the server must be stopped."""
    for name in ("dynamic-security.json", "mosquitto.db"):
        (server._data / name).unlink(missing_ok=True)
