"""Measures the effect of several workers: `python -m tests.bench.fanout.workers`.

`yabam events --workers N` serves the same subscribers. Each worker reads Kafka by itself. Events of
one channel are published as fast as Kafka accepts them. The time counts until the last event has
reached its last subscriber. If the machine has too few cores for the workers, the subscribers and
Kafka, more workers cannot be faster; then the CPU per delivery shows their cost.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.fanout.machine import allow_files
from tests.bench.fanout.measure import Subscribers, compiled, cpu_seconds
from tests.bench.fanout.on_kafka import measure_on_kafka
from tests.bench.fanout.results import WORKERS
from tests.bench.fanout.yabam import Yabam


@dataclass(frozen=True, slots=True)
class Shared:
    """One measurement with a number of workers."""

    deliveries_per_s: float
    cpu_us_per_delivery: float
    streams: list[int]
    """How many streams each worker has."""


async def measure(system: Yabam, program: Path, folder: Path, n: int, events: int) -> Shared:
    """Serve `n` subscribers of one channel with this many events.

    Raises:
        RuntimeError: an event was lost, or a subscriber was refused.
    """
    subscribers = Subscribers(program, folder)
    try:
        await system.start()
        pids = system.pids()
        await asyncio.sleep(0.5)  # the readiness check disconnects
        idle = [_open_files(pid) for pid in pids]
        await subscribers.connect(system.port, [system.request(0)] * n)
        streams = [_open_files(pid) - before for pid, before in zip(pids, idle, strict=True)]
        await subscribers.mark()
        cpu, began = cpu_seconds(pids), time.monotonic()
        for _ in range(events):
            await system.publish([0])
        came = await subscribers.gather(n * events, 120)
        took = time.monotonic() - began
        if came.events != n * events or came.closed:
            raise RuntimeError(f"{came} of {n * events} events came")
        spent = cpu_seconds(pids) - cpu
    finally:
        await subscribers.close()
        await system.stop()
    return Shared(n * events / took, spent / (n * events) * 1e6, streams)


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def run(
    options: argparse.Namespace, kafka: str, folder: Path
) -> list[dict[str, int | float | list[int]]]:
    """Make all interleaved rounds. Returns the medians, and the streams per worker of one round."""
    program = compiled("subscribers", Path("build/bench"))
    found: dict[int, list[Shared]] = {count: [] for count in options.workers}
    for _ in range(options.rounds):
        for count in options.workers:
            system = Yabam(kafka, options.connections, count)
            found[count].append(
                await measure(system, program, folder, options.connections, options.events)
            )
    return [
        {
            "workers": count,
            "deliveries_per_s": statistics.median(one.deliveries_per_s for one in shared),
            "cpu_us_per_delivery": statistics.median(one.cpu_us_per_delivery for one in shared),
            "streams": sorted(shared[-1].streams),
        }
        for count, shared in found.items()
    ]


def main() -> None:
    """Run, print, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fanout.workers")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    allow_files(options.connections)
    said = {"connections": options.connections, "rounds": options.rounds}
    rows = measure_on_kafka(partial(run, options), said, WORKERS)
    for row in rows:
        print(*(f"{name} {value}" for name, value in row.items()), sep=", ")


if __name__ == "__main__":
    main()
