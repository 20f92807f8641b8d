"""What an installation spends while nobody uses it: `python -m tests.bench.idle`.

One Core, relay, ingest and event server over a real PostgreSQL and Apache Kafka, with no client.
Prints the CPU of each as a share of one core, in `docs/performance.md`'s form.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Stack, free_ports
from tests.bench.fanout.machine import QuietMeter
from tests.bench.fanout.measure import cpu_seconds
from tests.bench.sync.systems import tree_cpu
from tests.integration.core_service import KEYS
from tests.parts import migrated_database

BUILD: Final = Path("build/kafka")
SETTLES_S: Final = 10.0
TARGET_PERCENT: Final = 2.0
"""Of a core, for all but Kafka."""
KAFKA: Final = "Kafka"


def shares(spent: Mapping[str, Callable[[], float]], seconds: float) -> dict[str, float]:
    """The percentage of a core that each spends over so many seconds.

    Args:
        spent: by name, the seconds of CPU that it has spent so far.
        seconds: how long to look.
    """
    before = {name: read() for name, read in spent.items()}
    began = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return {name: (read() - before[name]) / passed * 100 for name, read in spent.items()}


def measure(folder: Path, seconds: float, rounds: int) -> list[dict[str, float]]:
    """Start everything, wait until it has settled, look so many times."""
    postgres = EmbeddedPostgres(folder / "postgres")
    kafka = KafkaServer(folder / "kafka", ensure_libs(BUILD, print))
    postgres.start()
    try:
        kafka.start()
        database = asyncio.run(migrated_database(postgres))
        addresses = Addresses(database, kafka.bootstrap, ports=free_ports())
        stack = Stack(addresses, KEYS, folder)
        try:
            stack.start()
            spent: dict[str, Callable[[], float]] = {
                one.name: lambda pid=one.pid: cpu_seconds([pid])  # type: ignore[misc]
                for one in stack.processes
            }
            spent["PostgreSQL"] = lambda: tree_cpu(postgres.process.pid)
            spent[KAFKA] = lambda: cpu_seconds([kafka.process.pid])
            time.sleep(SETTLES_S)
            return [shares(spent, seconds) for _ in range(rounds)]
        finally:
            stack.kill()
    finally:
        kafka.kill()
        postgres.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    meter = QuietMeter()
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as name:
        Path(name).chmod(0o711)
        found = measure(Path(name), options.seconds, options.rounds)
    print(f"Medians of {options.rounds} rounds. The machine: {meter.read()}.\n")
    print("| | of a core |\n| --- | ---: |")
    medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
    for name, share in medians.items():
        print(f"| {name} | {share:.2f} % |")
    ours = sum(share for name, share in medians.items() if name != KAFKA)
    verdict = "met" if ours <= TARGET_PERCENT else "**not met**"
    print(f"\nAll but Kafka: {ours:.1f} % (target at most {TARGET_PERCENT:g} %: {verdict})")


if __name__ == "__main__":
    main()
