"""The whole system as real processes on this machine's embedded parts, and its logs."""

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
    """Every process of ours, ready, over a migrated database and a broker that is not started."""
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
    """All that these processes have written."""
    lines: list[str] = []
    for process in processes:
        if process.log.exists():
            # Only what ends a line in a terminal or a log collector, and no more than that.
            lines += process.log.read_bytes().decode().split("\n")[:-1]
    return lines


def log_events(*processes: Process) -> list[dict[str, Any]]:
    """Each line of their logs as the object that it must be."""
    events = []
    for line in log_lines(*processes):
        event = json.loads(line)
        assert isinstance(event, dict), line
        events.append(event)
    return events
