"""One process of each kind with a real PostgreSQL and Apache Kafka, and the CPU of each."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Stack, free_ports
from tests.bench.fanout.measure import cpu_seconds
from tests.bench.sync.systems import tree_cpu
from tests.integration.core_service import KEYS
from tests.parts import migrated_database

BUILD: Final = Path("build/kafka")
KAFKA: Final = "Kafka"

Spent = Mapping[str, Callable[[], float]]
"""Functions that give the CPU seconds so far, by the name of the process."""


@contextmanager
def installation(settings: dict[str, str] | None = None) -> Iterator[tuple[Stack, Spent]]:
    """Run Core, relay, ingest and event server, all ready. Stops and deletes all at the end.

    Args:
        settings: settings for all of them, besides the defaults.
    """
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user
        postgres = EmbeddedPostgres(folder / "postgres")
        kafka = KafkaServer(folder / "kafka", ensure_libs(BUILD, print))
        postgres.start()
        try:
            kafka.start()
            database = asyncio.run(migrated_database(postgres))
            addresses = Addresses(database, kafka.bootstrap, ports=free_ports())
            stack = Stack(addresses, KEYS, folder, settings)
            try:
                stack.start()
                spent: dict[str, Callable[[], float]] = {
                    one.name: lambda pid=one.pid: cpu_seconds([pid])  # type: ignore[misc]
                    for one in stack.processes
                }
                spent["PostgreSQL"] = lambda: tree_cpu(postgres.process.pid)
                spent[KAFKA] = lambda: cpu_seconds([kafka.process.pid])
                yield stack, spent
            finally:
                stack.kill()
        finally:
            kafka.kill()
            postgres.stop()
