"""The whole system as real processes with the embedded parts, and its logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.kafka.server import KafkaServer
from deploy.local.broker import EmbeddedBroker
from deploy.local.stack import Addresses, Stack, free_ports
from deploy.processes.process import Process
from tests.forked import FORKED
from tests.integration.core_service import KEYS
from tests.parts import FETCH_WAIT

TOGETHER = pytest.mark.xdist_group("security-system")
"""Marks tests that share one system, which only one worker has."""


@contextmanager
def installed(
    database: str,
    folder: Path,
    extra: dict[str, str] | None = None,
    broker: KafkaServer | None = None,
) -> Iterator[Stack]:
    """Start all our processes with a migrated database and a broker, which is started, too."""
    settings = {} if broker else FETCH_WAIT
    log = broker or EmbeddedBroker(folder)
    log.start()
    try:
        addresses = Addresses(database, log.bootstrap, ports=free_ports())
        stack = Stack(addresses, KEYS, folder, settings | (extra or {}), starter=FORKED)
        try:
            stack.start()
            yield stack
        finally:
            stack.kill()
    finally:
        log.kill()


def log_lines(*processes: Process) -> list[str]:
    """All lines of these processes' logs."""
    lines: list[str] = []
    for process in processes:
        if process.log.exists():
            # Split only where a terminal or a log collector would end a line.
            lines += process.log.read_bytes().decode().split("\n")[:-1]
    return lines


def log_events(*processes: Process) -> list[dict[str, Any]]:
    """All lines of these processes' logs, each of which must be a JSON object."""
    events = []
    for line in log_lines(*processes):
        event = json.loads(line)
        assert isinstance(event, dict), line
        events.append(event)
    return events
