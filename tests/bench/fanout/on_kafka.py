"""Runs a bench with its own Apache Kafka, and writes the file with its results."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from deploy.kafka.server import KafkaServer, ensure_libs
from tests.bench.fanout.machine import QuietMeter

Rows = list[dict[str, Any]]


def measure_on_kafka(
    run: Callable[[str, Path], Coroutine[Any, Any, Rows]], said: Mapping[str, Any], file: Path
) -> Rows:
    """Measure, and write the results.

    Args:
        run: measures; gets Kafka's address and an empty folder.
        said: facts about the run for readers.
        file: gets the rows, these facts, and how quiet the machine was.
    """
    meter = QuietMeter()
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as folder:
        server = KafkaServer(Path(folder) / "kafka", ensure_libs(Path("build/kafka"), print))
        server.start()
        try:
            rows = asyncio.run(run(server.bootstrap, Path(folder)))
        finally:
            server.stop()
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        json.dumps({**said, "rows": rows, "quiet": meter.read().write()}, indent=1) + "\n"
    )
    print(f"written: {file}")
    return rows
